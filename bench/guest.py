# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
"""glmark2 in the guest of scripts/demo: on our back-end, on QEMU's own virtio-gpu-gl, and, without
any guest, on the host through virglrenderer's vtest server. The guests are emulated and boot once;
then all draw in turns.

The host's glmark2 needs a window system and QEMU's device a display with OpenGL. Both get an X
server without a screen (Xvfb), because that takes no GPU, where QEMU's egl-headless does.
"""
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(REPO, 'tests', 'guest'))

from lab import GLMARK2, Failure, Lab, Process, check  # noqa: E402 # pylint: disable=C0413

SCENES = ('build', 'texture', 'jellyfish')
SCENE_S = 2
WARM_UP_S = 0.2
WIDTH, HEIGHT = 1280, 800
DRAW_LIMIT_S = 120
# What booting takes, and a round of three that draw.
BOOT_S, ROUND_S = 45, 35
MIN_RUNS = 3
DEVICE = {'ours': 'vhost-user-gpu-pci', 'qemu': 'virtio-gpu-gl-pci'}

# virglrenderer's test server and its clients know one path, in a /tmp that is theirs alone here.
VTEST = '''
mount -t tmpfs tmpfs /tmp
virgl_test_server --use-egl-surfaceless >/dev/null 2>&1 &
for i in $(seq 200); do [ -S /tmp/.virgl_test ] && break; sleep 0.05; done
GALLIUM_DRIVER=virpipe exec "$@"
'''


class Settings:
    """Of tests/guest/lab.py."""

    def __init__(self, daemon, image):
        self.argv, self.image = [daemon], image
        self.accel = os.environ.get('VDG_ACCEL', 'tcg')
        self.logs = os.path.join(os.environ.get('VDG_CACHE', os.path.join(REPO, '.cache')), 'log')

    def prefix(self, _frontend):
        return []

    def daemon(self, _frontend):
        return self.argv


def find_image(limit_s):
    """The guest's directory, made if need be and time permits; None if it doesn't."""
    with subprocess.Popen([os.path.join(REPO, 'scripts', 'guest-image')], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            out, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            # It removes what it has half made; what is whole stays for the next run.
            process.send_signal(signal.SIGTERM)
            process.communicate()
            return None
    return out.strip() if process.returncode == 0 else None


def scenes(seconds):
    return ' '.join(f'-b {scene}:duration={seconds}' for scene in SCENES)


def parse(out):
    """The results in what glmark2 says."""
    check(re.search(r'GL_RENDERER: *virgl', out), f'no virgl: {out[-500:]}')
    results = {f'fps_{scene}': float(fps)
               for scene, fps in re.findall(r'^\[(\w+)\].* FPS: (\d+)', out, re.M)}
    score = re.search(r'glmark2 Score: (\d+)', out)
    check(score and len(results) == len(SCENES), f'glmark2 did not end well: {out[-500:]}')
    return {'score': float(score[1]), **results}


class Guest:
    """A virtual machine that draws."""

    def __init__(self, lab, name):
        has_gpu = bool(glob.glob('/dev/dri/renderD*'))
        display = 'egl-headless' if has_gpu else 'none' if name == 'ours' else 'sdl,gl=on'
        self.daemon = None
        if name == 'ours':
            self.daemon = lab.daemon('host', '--gpu-mode', 'virglrenderer')
        self.vm = lab.vm('host', DEVICE[name], self.daemon, name=name, display=display)

    def prepare(self):
        self.vm.wait_boot()
        self.vm.load_driver(one_mode=(WIDTH, HEIGHT))
        # Programs, shaders and scenes come from disk only once.
        self.vm.run(f'{GLMARK2} {scenes(WARM_UP_S)}', DRAW_LIMIT_S)

    def draw(self):
        return parse(self.vm.sh(f'{GLMARK2} {scenes(SCENE_S)} 2>&1', DRAW_LIMIT_S))


class Host:
    """The host through vtest."""

    def __init__(self, _lab, _name):
        for tool in ('virgl_test_server', 'glmark2-es2', 'unshare'):
            check(shutil.which(tool), f'no {tool} (Debian: virgl-server, glmark2-es2-x11)')

    def prepare(self):
        pass

    def draw(self):
        glmark2 = f'glmark2-es2 --size {WIDTH}x{HEIGHT} {scenes(SCENE_S)}'.split()
        # In a chroot only root may, without a user namespace.
        spaces = '-mpf' if os.geteuid() == 0 else '-rmpf'
        done = subprocess.run(
            ['unshare', spaces, '--kill-child', 'bash', '-c', VTEST, 'bash', *glmark2],
            capture_output=True, text=True, timeout=DRAW_LIMIT_S, check=False)
        return parse(done.stdout + done.stderr)


@contextlib.contextmanager
def screen(lab):
    """An X server that nobody sees, for the time being this process's DISPLAY."""
    before = dict(os.environ)
    read_fd, write_fd = os.pipe()
    check(shutil.which('Xvfb'), 'no Xvfb (Debian: xvfb)')
    lab.own(Process('Xvfb', ['Xvfb', '-displayfd', str(write_fd), '-nolisten', 'tcp', '-screen',
                             '0', f'{WIDTH}x{HEIGHT}x24'], lab.path('Xvfb.log'),
                    pass_fds=(write_fd,)))
    os.close(write_fd)
    try:
        with os.fdopen(read_fd) as file:
            number = file.readline().strip()
        check(number, 'Xvfb does not start')
        os.environ['DISPLAY'] = f':{number}'
        if not glob.glob('/dev/dri/renderD*'):
            os.environ['LIBGL_ALWAYS_SOFTWARE'] = '1'
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def start(lab, missing):
    """{name: contender} of those that start; guests boot side by side."""
    found = {}
    for name, kind in (('ours', Guest), ('qemu', Guest), ('vtest', Host)):
        try:
            found[name] = kind(lab, name)
        except (Failure, OSError) as error:
            missing.append(f'guest, {name}: {error}')
    for name, contender in list(found.items()):
        try:
            contender.prepare()
        except (Failure, OSError) as error:
            missing.append(f'guest, {name}: {error}')
            del found[name]
    return found


def play(lab, n_runs, end, missing):
    """{name: [results, ...]}, in turns."""
    runs, round_s = {}, ROUND_S
    contenders = start(lab, missing)
    for n in range(n_runs):
        began = time.monotonic()
        if n >= MIN_RUNS and began + round_s > end:
            missing.append(f'guest: {n_runs - n} of {n_runs} rounds, for want of time')
            break
        for name, contender in list(contenders.items()):
            try:
                runs.setdefault(name, []).append(contender.draw())
            except (Failure, OSError, subprocess.TimeoutExpired) as error:
                missing.append(f'guest, {name}: {error}')
                del contenders[name]
        round_s = time.monotonic() - began
    return runs


def measure(daemon, n_runs, limit_s, missing):
    """The row's runs; what can't be done in @limit_s seconds is named as missing."""
    end = time.monotonic() + limit_s
    if not shutil.which('qemu-system-x86_64'):
        missing.append('guest: no QEMU (scripts/demo installs it)')
        return {}
    image = find_image(limit_s - BOOT_S - MIN_RUNS * ROUND_S)
    if not image:
        missing.append('guest: its image is not there, and could not be made in the time left '
                       '(scripts/demo or scripts/guest-image makes it)')
        return {}
    with Lab(Settings(daemon, image), 'bench') as lab:
        try:
            with screen(lab):
                return play(lab, n_runs, end, missing)
        except Failure as error:
            missing.append(f'guest: {error}')
            return {}
