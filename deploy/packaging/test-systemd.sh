# The life of the package on a machine that systemd runs.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
cd /package-test

list() { find / -xdev \( -path /proc -o -path /sys -o -path /package-test -o -path /var/lib/dpkg -o -path /var/log -o -path /var/cache -o -path /run/systemd -o -path /run/log -o -path /tmp -o -path /var/tmp \) -prune -o -print | sort; }
fail() {
	echo "FAILED: $*"
	journalctl --no-pager -n 30 -u ftpalg.service
	nft list table inet filter
	exit 1
}
apply() { dpkg "$@" >dpkg.log 2>&1 </dev/null || { cat dpkg.log; fail "dpkg $*"; }; }
pid() { systemctl show -P MainPID ftpalg.service; }
running() { systemctl --quiet is-active ftpalg.service; }
# A start is over when the daemon says so (Type=notify), so nothing has to be waited for.
serving() {
	running || fail "$1: the service does not run"
	ftpalg status >/dev/null || fail "$1: the daemon does not answer"
	nft list chain inet filter forward | grep -q 'ct label 126 .*accept' || fail "$1: the accept line is not there"
}

cat >/etc/nftables.conf <<'RULES'
table inet filter {
	chain forward {
		type filter hook forward priority filter; policy drop;
		ct state established,related accept
		tcp dport 21 accept
	}
}
RULES
systemctl start nftables.service
nft list ruleset >ruleset.before
list >before

apply -i 1.deb
systemctl --quiet is-enabled ftpalg.service || fail "a fresh install does not enable the service"
serving "fresh install"
ftpalg check >check.log 2>&1 || { cat check.log; fail "check finds problems on a machine that is in order"; }
echo "ok: a fresh install enables and starts the service, and check finds nothing wrong"

sed -i 's/^min_port .*/min_port = 2048/; s/^on_absence .*/on_absence = "drop"/' /etc/ftpalg/ftpalg.toml
cp /etc/ftpalg/ftpalg.toml edited.toml
old=$(pid)
apply -i 2.deb
serving "upgrade"
[ "$(pid)" != "$old" ] || fail "an upgrade leaves the old daemon running"
cmp /etc/ftpalg/ftpalg.toml edited.toml || fail "an upgrade changes the configuration"
echo "ok: an upgrade restarts the service and keeps an edited configuration"

apply --force-confold -i 3.deb
serving "upgrade with a new configuration"
cmp /etc/ftpalg/ftpalg.toml edited.toml || fail "an upgrade with a new default changes the configuration"
[ -f /etc/ftpalg/ftpalg.toml.dpkg-dist ] || fail "the new default is not beside the old configuration"
rm /etc/ftpalg/ftpalg.toml.dpkg-dist
echo "ok: an upgrade with another default keeps it too, and puts the default beside it"

systemctl stop ftpalg.service
nft list tables | grep -qx 'table inet ftpalg' || fail 'on_absence = "drop" did not keep the table'
apply --force-confold -i 2.deb
! running || fail "a service that was stopped is started by an upgrade"
systemctl start ftpalg.service
serving "started again"
systemctl --quiet disable ftpalg.service
apply --force-confold -i 3.deb
! systemctl --quiet is-enabled ftpalg.service || fail "an upgrade enables what was disabled"
serving "upgrade of a disabled service that runs"
systemctl --quiet enable ftpalg.service
echo "ok: an upgrade starts no service that was stopped, and enables none that was disabled"

apply -r ftpalg
! running || fail "the service outlives a removal"
for file in /usr/sbin/ftpalg /run/ftpalg /run/ftpalg.stopped; do
	[ ! -e $file ] || fail "a removal leaves $file"
done
nft list ruleset >ruleset.after
diff ruleset.before ruleset.after || fail "a removal leaves something in the kernel"
cmp /etc/ftpalg/ftpalg.toml edited.toml || fail "a removal takes the configuration"
echo "ok: a removal stops the service, leaves nothing in the kernel, and keeps the configuration"

apply -i 3.deb
serving "installed again"
cmp /etc/ftpalg/ftpalg.toml edited.toml || fail "installing again changes the configuration"
apply -P ftpalg
! running || fail "the service outlives a purge"
nft list ruleset >ruleset.after
diff ruleset.before ruleset.after || fail "a purge leaves something in the kernel"
! getent passwd ftpalg || fail "a purge leaves the user"
list >after
diff before after || fail "a purge leaves something, or takes too much"
echo "ok: installed again it serves with the old configuration, and a purge leaves nothing"

touch passed
