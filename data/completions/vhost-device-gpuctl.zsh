#compdef vhost-device-gpuctl
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# zsh completion of vhost-device-gpuctl(1)

local -a commands=(
	'status:how it is with each VM'
	'top:the same, again and again'
	'screenshot:what a screen shows'
	'cursor:where cursors are'
	'set-mode:size of a headless screen'
	'metrics:figures for Prometheus'
	'log:what is logged'
)
local -a options=(
	'(-s --socket)'{-s,--socket=}'[control socket]:socket:_files'
	'--vm=[which VM]:number:'
	'--json[as JSON]'
	'--interval=[of top, in seconds]:seconds:'
	'--count=[of top: how often]:number:'
	'(- *)'{-h,--help}'[print commands and options]'
	'(- *)'{-V,--version}'[print the version]'
	'1:command:->command'
	'*:argument:->argument'
)
local context state line

_arguments -s : $options
case $state in
command) _describe command commands ;;
argument)
	case $line[1] in
	log) _values level off error warn info debug trace ;;
	screenshot | cursor) _files ;;
	esac
	;;
esac
