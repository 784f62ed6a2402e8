package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// installScript lays the trees $1, $2, ... over the lab's own. It keeps what the lab shows in
// place of files of the machine, and puts into /usr what packages still have in /lib or /sbin.
const installScript = `set -e
new=$(mktemp -d /run/lab/installed-XXXX)
mkdir -p "$new/upper/usr" "$new/upper/etc" "$new/upper/var"
(cd /etc && cp --parents passwd group hosts pam.d/vsftpd "$new/upper/etc/" 2>/dev/null) || :
for package; do
	for top in usr etc var; do
		[ ! -d "$package/$top" ] || cp -a "$package/$top/." "$new/upper/$top/"
	done
	for dir in bin lib sbin; do
		[ ! -d "$package/$dir" ] || cp -a "$package/$dir" "$new/upper/usr/"
	done
done
for top in usr etc var; do
	mkdir "$new/work-$top"
	mount -t overlay overlay -o "lowerdir=/$top,upperdir=$new/upper/$top,workdir=$new/work-$top" "/$top"
done
`

// Install shows unpacked Debian packages (see unpackedDir) in the lab as if they were
// installed. Their files are not configured: no script of a package runs. From then on what
// the lab's programs write to /usr, /etc and /var stays in the lab. It can be called once.
func (l *Lab) Install(ctx context.Context, packages ...string) error {
	args := []string{"-c", installScript, "install"}
	for _, p := range packages {
		dir := filepath.Join(unpackedDir(), p)
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return &MissingError{Program: p, Package: p}
		}
		args = append(args, dir)
	}
	if out, err := l.Gateway.Command(ctx, "sh", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("installing %v in lab %s: %w: %s", packages, l.Name, err, out)
	}
	return nil
}
