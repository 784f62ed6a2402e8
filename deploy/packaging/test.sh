#!/bin/sh
# Installs the .deb on a fresh Debian that runs systemd, upgrades it, removes it, and looks
# at each step what is there and what is left:
#
#     test.sh DEB ROOT
#
# ROOT is what debootstrap has made; it stays as it is. Everything happens in namespaces of
# its own, without a network, and vanishes with them.
set -eu

if [ "${PACKAGE_TEST_INSIDE:-}" != yes ]; then
	PACKAGE_TEST_INSIDE=yes exec unshare --mount --propagation private "$0" "$@"
fi
deb=$(realpath "$1") lower=$(realpath "$2")
here=$(dirname "$(realpath "$0")")

work=$(mktemp -d)
trap 'umount -R "$work"; rmdir "$work"' EXIT
mount -t tmpfs -o mode=0755 none "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
test=$work/root/package-test
mkdir "$test"

# The same package once more as two later versions: one with the same configuration, one
# whose maintainers have changed it.
cp "$deb" "$test/1.deb"
dpkg-deb -R "$deb" "$work/next"
version=$(sed -n 's/^Version: //p' "$work/next/DEBIAN/control")
for n in 2 3; do
	sed -i "s/^Version: .*/Version: $version+$n/" "$work/next/DEBIAN/control"
	[ $n = 2 ] || echo '# One more line of the maintainers.' >>"$work/next/etc/ftpalg/ftpalg.toml"
	dpkg-deb --root-owner-group -Zgzip -z1 -b "$work/next" "$test/$n.deb" >/dev/null
done
rm -rf "$work/next"

# First where no systemd runs, as in the making of an image.
cp "$here/test-chroot.sh" "$here/test-systemd.sh" "$test/"
unshare --net --pid --fork chroot "$work/root" /bin/sh /package-test/test-chroot.sh

# Then as a machine that boots, with the steps as its one service.
cat >"$test/package-test.service" <<'UNIT'
[Unit]
Description=Try the package
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh /package-test/test-systemd.sh
StandardOutput=file:/package-test/log
StandardError=file:/package-test/log
TimeoutStartSec=300
UNIT
mkdir -p "$work/root/etc/systemd/system/default.target.wants"
cp "$test/package-test.service" "$work/root/etc/systemd/system/"
ln -s /etc/systemd/system/package-test.service "$work/root/etc/systemd/system/default.target.wants/"
timeout 400 systemd-nspawn --quiet --boot --private-network --register=no --keep-unit --machine=package-test \
	--directory="$work/root" </dev/null >"$work/console" 2>&1 || true
if ! [ -f "$test/log" ]; then
	tail -n 40 "$work/console" >&2
	echo "test.sh: the machine did not boot" >&2
	exit 1
fi
cat "$test/log"
[ -f "$test/passed" ]
