# shellcheck shell=bash disable=SC2034 # names for who reads this
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# Shared by the scripts beside it: where things are kept, progress on the
# terminal with the noise in a log, packages, and the Debian 13 trees.
#
# Everything made here lies in one cache directory. An entry's name carries a
# hash of what it is made from, and an entry appears under its name only when
# it is complete (it is built as NAME.tmp.PID and renamed), so an interrupted
# run leaves nothing that a later one could take for whole.
#
# Environment: VDG_CACHE (default: .cache in the checkout), VDG_MIRROR.

set -euo pipefail

# As su leaves it, there are no administrators' programs in it.
PATH=$PATH:/usr/sbin:/sbin

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${VDG_CACHE:-$repo/.cache}
mirror=${VDG_MIRROR:-http://deb.debian.org/debian}
logdir=$cache/log
mkdir -p "$logdir"
# git status stays clean wherever the cache is put inside a work tree.
[ -e "$cache/.gitignore" ] || echo '*' >"$cache/.gitignore"

say() { printf '%s\n' "$*" >&2; }
die() { printf '%s: error: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# fail_with_log WHAT LOG: the end of a log, then the end of the program.
fail_with_log() {
	say "----- last lines of $2"
	tail -n 25 "$2" >&2 || true
	say "-----"
	die "$1 failed; the whole log is $2"
}

# step NAME DESCRIPTION COMMAND...: run COMMAND with its output in NAME.log,
# saying what goes on and for how long. Ends the program when COMMAND fails.
# COMMAND is a process group of its own, so that all of it can be ended.
step() {
	local name=$1 what=$2 log=$logdir/$1.log start=$SECONDS next=15 rc=0
	shift 2
	say "==> $what"
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	set +m
	step_pid=$!
	while kill -0 "$step_pid" 2>/dev/null; do
		sleep 0.5
		if ((SECONDS - start >= next)); then
			say "    ... $((SECONDS - start)) s: $(tail -n 1 "$log" |
				tr -d '\r' | cut -c 1-90)"
			next=$((SECONDS - start + 15))
		fi
	done
	wait "$step_pid" || rc=$?
	step_pid=
	[ "$rc" -eq 0 ] || fail_with_log "$what" "$log"
	((SECONDS - start < 2)) || say "    done in $((SECONDS - start)) s"
}

# What is half made when the program ends, in whatever way, goes away.
unfinished=()
step_pid=
lib_cleanup() {
	if [ -n "$step_pid" ]; then
		kill -- "-$step_pid" 2>/dev/null || true
		wait "$step_pid" 2>/dev/null || true
	fi
	[ ${#unfinished[@]} -eq 0 ] ||
		rm -rf --one-file-system "${unfinished[@]}"
}
trap lib_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

need_root() {
	[ "$(id -u)" -eq 0 ] ||
		die "this installs packages and builds file system trees," \
			"so it has to run as root (for example: sudo $0)"
}

need_debian() {
	local id='' version=''
	if [ -r /etc/os-release ]; then
		id=$(. /etc/os-release; echo "${ID:-}")
		version=$(. /etc/os-release; echo "${VERSION_ID:-}")
	fi
	case $id-$version in
	debian-12 | debian-13) release=$version ;;
	*) die "this is written for Debian 12 and 13, and this is" \
		"${id:-unknown} ${version:-} (see docs/testing.md for what" \
		"to install by hand)" ;;
	esac
}

# have_package NAME [VERSION]: is it installed, and no older than VERSION?
have_package() {
	local v
	v=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' "$1" \
		2>/dev/null) || return 1
	[ "${v:0:2}" = ii ] || return 1
	[ -z "${2:-}" ] || dpkg --compare-versions "${v:3}" ge "$2"
}

apt_get() {
	DEBIAN_FRONTEND=noninteractive apt-get -y -q \
		-o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io \
		-o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"
}

packages_build=(meson ninja-build pkg-config gcc libc6-dev libglib2.0-dev
	libpixman-1-dev libseccomp-dev libvirglrenderer-dev libepoxy-dev libegl1
	libjson-glib-dev libpng-dev libgl1-mesa-dri libgles2)
packages_image=(debootstrap e2fsprogs cpio xz-utils gcc libc6-dev libdrm-dev
	libvulkan-dev kmod ca-certificates)
packages_vm=(python3 seabios)
# systemd: its tools look at our units and stand for a service manager.
packages_test=(clang edid-decode fish git scdoc shellcheck systemd zsh)

# libc6-dbg: valgrind replaces functions of the loader that it finds by name.
packages_valgrind=(valgrind libc6-dbg)
packages_tsan=(clang libclang-rt-dev)

# libFuzzer and the sanitizers, and what tells which lines were reached.
packages_fuzz=(clang libclang-rt-dev llvm)

# Plots, system calls; and where OpenGL takes a window and a display.
packages_bench=(python3 gnuplot-nox strace)
packages_bench_guest=(xvfb virgl-server glmark2-es2-x11)

# QEMU 7.2 of Debian 12 refuses vhost-user-gpu without KVM ("requires kvm").
qemu_version=1:10.0
packages_qemu=(qemu-system-x86)
packages_qemu_test=(qemu-system-x86 qemu-system-gui)
packages_qemu_bench=("${packages_qemu_test[@]}" qemu-system-modules-opengl)

# enable_backports: Debian 12 keeps QEMU 10 there.
enable_backports() {
	[ "$release" = 12 ] || return 0
	! grep -rqs '^[^#]*bookworm-backports' /etc/apt/sources.list \
		/etc/apt/sources.list.d --include='*.list' \
		--include='*.sources' || return 0
	local file=/etc/apt/sources.list.d/bookworm-backports.sources
	say "==> adding $file: QEMU 10 for Debian 12 comes from backports"
	cat >"$file" <<-END
		Types: deb
		URIs: $mirror
		Suites: bookworm-backports
		Components: main
		Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
	END
	apt_updated=
}

update_lists() {
	[ -z "${apt_updated:-}" ] || return 0
	step apt-update "fetching package lists" apt_get update
	apt_updated=1
}

# install_packages NAME...: what is missing, and nothing when nothing is.
install_packages() {
	local p missing=()
	for p in "$@"; do
		have_package "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	need_root
	update_lists
	step apt-install "installing ${missing[*]}" \
		apt_get install --no-install-recommends "${missing[@]}"
}

# install_qemu NAME...: the same for QEMU's packages, 10.0 or newer.
install_qemu() {
	local p missing=() from=()
	for p in "$@"; do
		have_package "$p" "$qemu_version" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	need_root
	enable_backports
	update_lists
	[ "$release" != 12 ] || from=(-t bookworm-backports)
	step apt-qemu "installing ${missing[*]} (10.0 or newer)" \
		apt_get install --no-install-recommends "${from[@]}" \
		"${missing[@]}"
}

# hash_of TEXT...: 12 hex digits that stand for all of it.
hash_of() { printf '%s\n' "$@" | sha256sum | cut -c 1-12; }

# forget_old PREFIX KEEP: take away what interrupted runs have left, and what
# has not been used for a day. A run beside this one may be using or building
# another entry, so nothing younger goes, and nothing whose builder lives.
forget_old() {
	local e
	touch -c "$2"
	for e in "$cache/$1"-*; do
		[ -e "$e" ] && [ "$e" != "$2" ] || continue
		case $e in
		*.tmp.*)
			e=${e%.d}
			! kill -0 "${e##*.}" 2>/dev/null || continue
			;;
		*) [ -n "$(find "$e" -maxdepth 0 -mmin +1440)" ] || continue ;;
		esac
		rm -rf --one-file-system "$e" "$e.d"
	done
}

# exec_in_root DIR COMMAND...: become COMMAND inside the tree, in a mount
# namespace of its own. The kernel drops the mounts with the last process in
# it, however that ends, so nothing is ever left mounted. The checkout, the
# cache and /tmp appear at the same paths as outside. The process keeps its
# pid: a signal sent to it reaches COMMAND.
exec_in_root() {
	local root=$1
	shift
	# Mounts are to be nobody else's; a plain chroot can't tell whose they are.
	unshare -m --propagation private true 2>/dev/null ||
		die "/ is no mount point, as in a plain chroot: enter it by" \
			"'mount --bind DIR DIR; chroot DIR'"
	# shellcheck disable=SC2016 # expanded by the inner shell
	exec unshare -m --propagation private /bin/sh -euc '
		root=$1 repo=$2 cache=$3 wd=$4
		shift 4
		mount --rbind /dev "$root/dev"
		mount -t proc proc "$root/proc"
		mount -o ro -t sysfs sysfs "$root/sys"
		mount --bind /tmp "$root/tmp"
		mkdir -p "$root$repo" "$root$cache"
		mount --bind "$repo" "$root$repo"
		mount --bind "$cache" "$root$cache"
		cp -L /etc/resolv.conf "$root/etc/resolv.conf"
		exec chroot "$root" /usr/bin/env -C "$wd" "$@"
	' sh "$root" "$repo" "$cache" "${VDG_ROOT_CWD:-/}" \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LC_ALL=C.UTF-8 "$@"
}

# dpkg's settings for our trees: no documents, no translations, no fsync.
quiet_dpkg() {
	mkdir -p "$1/etc/dpkg/dpkg.cfg.d" "$1/etc/apt/apt.conf.d"
	cat >"$1/etc/dpkg/dpkg.cfg.d/vdg" <<-END
		force-unsafe-io
		path-exclude=/usr/share/doc/*
		path-exclude=/usr/share/man/*
		path-exclude=/usr/share/info/*
		path-exclude=/usr/share/locale/*
		path-exclude=/usr/share/lintian/*
		path-exclude=/usr/share/bug/*
	END
	cat >"$1/etc/apt/apt.conf.d/vdg" <<-END
		Acquire::Languages "none";
		Acquire::Retries "3";
		APT::Install-Recommends "false";
		Dpkg::Use-Pty "0";
	END
	# No service is to start inside a tree.
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
	chmod +x "$1/usr/sbin/policy-rc.d"
}

# make_base: sets $base to a tar file of a minimal Debian 13, from which both
# the guest and the Debian 13 root are made.
make_base() {
	local tmp include=ca-certificates
	base=$cache/base-$(hash_of "$mirror" "$include" 2).tar
	[ ! -e "$base" ] || { touch "$base"; return 0; }
	install_packages "${packages_image[@]}"
	tmp=$base.tmp.$$
	unfinished+=("$tmp" "$tmp.d")
	mkdir -p "$tmp.d"
	step debootstrap "fetching a minimal Debian 13" \
		unshare -m --propagation private \
		debootstrap --variant=minbase --include="$include" \
		trixie "$tmp.d" "$mirror"
	rm -f "$tmp.d"/var/cache/apt/archives/*.deb
	quiet_dpkg "$tmp.d"
	step base-tar "packing it" tar -C "$tmp.d" -cf "$tmp" .
	mv "$tmp" "$base"
	rm -rf --one-file-system "$tmp.d"
	forget_old base "$base"
}

# build_in DIR TARGET [MESON OPTION...]: configure once, build what has changed.
# TARGET may be "all".
build_in() {
	local dir=$1 target=$2
	shift 2
	[ -e "$dir/build.ninja" ] || meson setup "$@" "$dir" "$repo"
	ninja -C "$dir" "$target"
}

# build_in_13 DIR TARGET...: the same in the Debian 13 tree, which has to be there.
build_in_13() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	env -C "$repo" "$repo/scripts/debian13" sh -euc '
		[ -e "$1/build.ninja" ] || meson setup "$1" .
		ninja -C "$@"
	' sh "$@"
}
