#!/bin/sh
# wl-clipboard 2.1.0 (github.com/bugaevc/wl-clipboard, in Debian 12).
#
# wl-copy keeps its standard input in a file, /tmp/wl-copy-buffer-*/stdin, for as long
# as it offers it. If /tmp is on a disk, the file is, too. wl-copy ignores TMPDIR. It
# removes the file when the offer ends. This version does not know --sensitive.
#
# Ends with 0 if it still does so. Needs wl-copy and, not as root, sway (Debian:
# apt-get install wl-clipboard sway).
set -eu
dir=$(mktemp -d)
sway=
command -v wl-copy >/dev/null && command -v sway >/dev/null || { echo "needs wl-copy and sway"; exit 2; }
trap 'kill $sway 2>/dev/null || true; rm -rf "$dir"' EXIT
chmod 700 "$dir"
mkdir "$dir/tmp"
export XDG_RUNTIME_DIR="$dir" HOME="$dir" TMPDIR="$dir/tmp"
WLR_BACKENDS=headless WLR_LIBINPUT_NO_DEVICES=1 WLR_RENDERER=pixman sway -c /dev/null >"$dir/log" 2>&1 &
sway=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do
	WAYLAND_DISPLAY=$(cd "$dir" && ls -d wayland-? 2>/dev/null || true)
	[ -z "$WAYLAND_DISPLAY" ] || break
	sleep 1
done
[ -n "$WAYLAND_DISPLAY" ] || { cat "$dir/log"; exit 2; }
export WAYLAND_DISPLAY
files() { grep -ls "$1" /tmp/wl-copy-buffer-*/stdin || true; }
text="text-$$"
known=yes
printf %s "$text" | wl-copy --sensitive >/dev/null 2>&1 || known=no
wl-copy --clear
printf %s "$text" | wl-copy --type text/plain >/dev/null 2>&1
sleep 1
while_offered=$(files "$text")
wl-copy --clear
sleep 1
after=$(files "$text")
wl-copy --version | head -n 1
echo "--sensitive is known: $known"
echo "files while it is offered: ${while_offered:-none}"
echo "files after it was cleared: ${after:-none}"
[ "$known" = no ] && [ -n "$while_offered" ] && [ -z "$after" ] || { echo "wl-copy does something else now"; exit 1; }
