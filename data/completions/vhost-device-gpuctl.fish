# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# fish completion of vhost-device-gpuctl(1)

complete -c vhost-device-gpuctl -f
complete -c vhost-device-gpuctl -s s -l socket -r -F -d 'Control socket'
complete -c vhost-device-gpuctl -l vm -x -d 'Which VM'
complete -c vhost-device-gpuctl -l json -d 'As JSON'
complete -c vhost-device-gpuctl -l interval -x -d 'Of top, in seconds'
complete -c vhost-device-gpuctl -l count -x -d 'Of top: how often'
complete -c vhost-device-gpuctl -s h -l help -d 'Print commands and options'
complete -c vhost-device-gpuctl -s V -l version -d 'Print the version'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a status -d 'How it is with each VM'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a top -d 'The same, again and again'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a screenshot -d 'What a screen shows'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a cursor -d 'Where cursors are'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a set-mode -d 'Size of a headless screen'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a metrics -d 'Figures for Prometheus'
complete -c vhost-device-gpuctl -n __fish_use_subcommand -a log -d 'What is logged'
complete -c vhost-device-gpuctl -n '__fish_seen_subcommand_from log' -a 'off error warn info debug trace'
complete -c vhost-device-gpuctl -n '__fish_seen_subcommand_from screenshot cursor' -F
