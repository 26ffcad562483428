# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# bash completion of vhost-device-gpuctl(1)

_vhost_device_gpuctl_options='--socket --vm --json --interval --count --help --version -s -h -V'

# The word at the cursor is the value of the option before it.
_vhost_device_gpuctl_value()
{
	case $1 in
	-s | --socket)
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		compopt -o filenames 2>/dev/null
		;;
	--vm | --interval | --count) ;;
	*) return 1 ;;
	esac
}

# _vhost_device_gpuctl_command: that which stands before the cursor, if any.
_vhost_device_gpuctl_command()
{
	local word
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		status | top | screenshot | cursor | set-mode | metrics | log)
			echo "$word"
			return
			;;
		esac
	done
}

_vhost_device_gpuctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} words
	COMPREPLY=()
	# "--socket=PATH" is three words to bash.
	if [[ $word == = ]]; then
		word=
	elif [[ $option == = ]] && ((COMP_CWORD > 1)); then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	! _vhost_device_gpuctl_value "$option" "$word" || return 0
	case $word:$(_vhost_device_gpuctl_command) in
	-*) words=$_vhost_device_gpuctl_options ;;
	*:) words="status top screenshot cursor set-mode metrics log" ;;
	*:log) words="off error warn info debug trace" ;;
	*:screenshot | *:cursor)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		return
		;;
	*) return ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
} &&
	complete -F _vhost_device_gpuctl vhost-device-gpuctl
