#!/usr/bin/env bash
# Installs the Debian and Ubuntu packages that kubetape's demo, tests, benchmarks
# or CI need, and nothing when nothing is missing.
#
#   scripts/deps.sh demo|test|bench|ci [...]
#
# It says what it installs before it does. Without root it installs nothing,
# prints the command to run, and exits with status 1.
set -euo pipefail

usage() {
	echo "usage: scripts/deps.sh demo|test|bench|ci [...]" >&2
	exit 2
}

# A need is a program, or the full name of a file, and the package that brings it.
# (gcc and libc6-dev are for the race detector.)
demo=(
	containerd:containerd ctr:containerd runc:runc busybox:busybox-static
	sshd:openssh-server ssh:openssh-client scp:openssh-client nsenter:util-linux
)
tests=("${demo[@]}" gcc:gcc /usr/include/stdio.h:libc6-dev sftp:openssh-client script:bsdutils ip:iproute2 zstd:zstd jq:jq asciinema:asciinema node:nodejs npm:npm zsh:zsh dash:dash sudo:sudo mariadb:mariadb-client python3:python3 setpriv:util-linux unshare:util-linux su:util-linux make:make git:git)
bench=("${demo[@]}" script:bsdutils asciinema:asciinema tlog-rec:tlog)
ci=("${tests[@]}" clang-16:clang-16 llvm-strip-16:llvm-16)

[ $# -gt 0 ] || usage
needs=()
for set in "$@"; do
	case $set in
	demo) needs+=("${demo[@]}") ;;
	test) needs+=("${tests[@]}") ;;
	bench) needs+=("${bench[@]}") ;;
	ci) needs+=("${ci[@]}") ;;
	*) usage ;;
	esac
done

# Administrators' programs are often not in a user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
declare -A packages=()
for need in "${needs[@]}"; do
	what=${need%%:*}
	case $what in
	/*) [ -e "$what" ] ;;
	busybox) command -v busybox >/dev/null && ! ldd "$(command -v busybox)" >/dev/null 2>&1 ;; # a static one
	*) command -v "$what" >/dev/null ;;
	esac || packages[${need#*:}]=1
done
[ ${#packages[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${!packages[@]}" | sort)

install="apt-get install --yes --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
	echo "deps: missing: ${missing[*]} (names of Debian's packages); install them with your system's package manager" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: missing: ${missing[*]}; installing needs root: sudo apt-get update && sudo $install" >&2
	exit 1
fi

# Packages of servers must not start them: what runs here is ours to start, with
# its own configuration. This is the standard way to say so to Debian's scripts.
# A machine that says so already keeps its own word.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
	trap 'rm -f $policy' EXIT
fi

echo "deps: installing: ${missing[*]}"
log=$(mktemp)
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && $install; } </dev/null >"$log" 2>&1; then
	tail -n 20 "$log" >&2
	echo "deps: installing ${missing[*]} went wrong; the whole log is in $log" >&2
	exit 1
fi
rm -f "$log"
