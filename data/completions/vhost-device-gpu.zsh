#compdef vhost-device-gpu
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# zsh completion of vhost-device-gpu(1)

local -a options=(
	'(-s --socket-path --fd --socket-fd)'{-s,--socket-path=}'[Unix socket to listen on]:socket:_files'
	'(-s --socket-path --fd --socket-fd)'{--fd=,--socket-fd=}'[socket that is open already]:descriptor:'
	'(-g --gpu-mode)'{-g,--gpu-mode=}'[how it is drawn]:mode:(virglrenderer virgl-renderer gfxstream 2d null)'
	'(-c --capset)'{-c,--capset=}'[what the guest is offered]:capsets:_values -s , capset virgl virgl2 venus drm gfxstream-vulkan gfxstream-gles'
	'--use-egl=[render through EGL]:bool:(true false)'
	'--use-glx=[render through GLX]:bool:(true false)'
	'--use-gles=[render with OpenGL ES]:bool:(true false)'
	'--use-surfaceless=[render without a window system]:bool:(true false)'
	'--gfxstream-library=[library to load]:library:_files'
	'(--gpu-device --render-node)'{--gpu-device=,--render-node=}'[DRM render node]:device:_files -g "/dev/dri/renderD*"'
	'--headless[no display output]'
	'--virgl[the same as --gpu-mode virglrenderer]'
	'--max-hostmem=[host memory that a guest may hold]:size:'
	'--hostmem=[window for memory of the host]:size:'
	'--shmem-feature-bit=[protocol feature of front-ends that map]:bit:(22 21)'
	'--max-clients=[front-ends served at once]:number:'
	'--max-crashes=[crashes in a row before the guest is left with 2D]:number:'
	'--sandbox=[what the processes give up]:mode:(on strict report off)'
	'--shader-cache=[folder for compiled shaders]:folder:_files -/'
	'--dmabuf=[pictures as buffers]:mode:(auto on off)'
	'--control-socket=[socket for vhost-device-gpuctl]:socket:_files'
	'(- *)--print-capabilities[print what works on this host]'
	'(- *)'{-h,--help}'[print the options]'
	'(- *)'{-V,--version}'[print the version]'
)

_arguments -s : $options
