# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# bash completion of vhost-device-gpu(1)

_vhost_device_gpu_options='
	--socket-path --fd --socket-fd --gpu-mode --capset --use-egl --use-glx --use-gles
	--use-surfaceless --gfxstream-library --gpu-device --render-node --headless --virgl --max-hostmem --hostmem
	--shmem-feature-bit --max-clients --max-crashes --sandbox --shader-cache --dmabuf
	--control-socket --print-capabilities --help --version -s -g -c -h -V'

# _vhost_device_gpu_words OPTION: the values that it may have, if they have names.
_vhost_device_gpu_words()
{
	case $1 in
	-g | --gpu-mode) echo virglrenderer virgl-renderer gfxstream 2d null ;;
	--use-egl | --use-glx | --use-gles | --use-surfaceless) echo true false ;;
	--shmem-feature-bit) echo 22 21 ;;
	--sandbox) echo on strict report off ;;
	--dmabuf) echo auto on off ;;
	esac
}

# The last name of a list gets company.
_vhost_device_gpu_capsets()
{
	local before='' name
	[[ $1 != *,* ]] || before=${1%,*},
	for name in virgl virgl2 venus drm gfxstream-vulkan gfxstream-gles; do
		[[ ,$before != *,$name,* ]] && [[ $before$name == "$1"* ]] &&
			COMPREPLY+=("$before$name")
	done
}

_vhost_device_gpu()
{
	local word=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}
	COMPREPLY=()
	# "--gpu-mode=2d" is three words to bash.
	if [[ $word == = ]]; then
		word=
	elif [[ $option == = ]] && ((COMP_CWORD > 1)); then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	case $option in
	-s | --socket-path | --control-socket | --gpu-device | --render-node | --gfxstream-library)
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		compopt -o filenames 2>/dev/null
		;;
	--shader-cache)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		compopt -o filenames 2>/dev/null
		;;
	-c | --capset)
		_vhost_device_gpu_capsets "$word"
		;;
	--fd | --socket-fd | --max-hostmem | --hostmem | --max-clients | --max-crashes) ;;
	-g | --gpu-mode | --use-egl | --use-glx | --use-gles | --use-surfaceless | \
		--shmem-feature-bit | --sandbox | --dmabuf)
		mapfile -t COMPREPLY < <(compgen -W "$(_vhost_device_gpu_words "$option")" -- \
			"$word")
		;;
	*)
		mapfile -t COMPREPLY < <(compgen -W "$_vhost_device_gpu_options" -- "$word")
		;;
	esac
} &&
	complete -F _vhost_device_gpu vhost-device-gpu
