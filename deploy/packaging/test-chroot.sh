# Without systemd: the package installs, the programs run, and nothing is left of it.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

list() { find / -xdev \( -path /proc -o -path /sys -o -path /package-test -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache \) -prune -o -print | sort; }
fail() {
	echo "FAILED (no systemd): $*"
	exit 1
}

list >/package-test/before
dpkg -i /package-test/1.deb >/package-test/dpkg.log 2>&1 || { cat /package-test/dpkg.log; fail "installing"; }
ftpalg version | grep -q '^ftpalg ' || fail "ftpalg version"
ftpalg check 2>&1 | grep -q valid || fail "ftpalg check"
ftplab --version | grep -q '^ftplab ' || fail "ftplab --version"
for file in /etc/ftpalg/ftpalg.toml /usr/lib/systemd/system/ftpalg.service \
	/usr/share/man/man8/ftpalg.8.gz /usr/share/man/man8/ftplab.8.gz /usr/share/man/man5/ftpalg.toml.5.gz \
	/usr/share/bash-completion/completions/ftpalg /usr/share/zsh/vendor-completions/_ftpalg \
	/usr/share/fish/vendor_completions.d/ftpalg.fish /usr/share/doc/ftpalg/copyright /usr/share/doc/ftpalg/THIRD-PARTY.gz; do
	dpkg -S "$file" | grep -q '^ftpalg: ' || fail "$file is not the package's"
	[ -s "$file" ] || [ "${file#/usr/share/[dm]}" != "$file" ] || fail "$file is not there" # images may leave out pages
done
dpkg -V ftpalg | grep -v '^missing .*/usr/share/' && fail "what is installed is not what the package has"
dpkg -P ftpalg >/package-test/dpkg.log 2>&1 || { cat /package-test/dpkg.log; fail "purging"; }
list >/package-test/after
diff /package-test/before /package-test/after || fail "a purge leaves something, or takes too much"
echo "ok: installed, run and purged where no systemd runs"
