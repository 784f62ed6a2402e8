#!/bin/sh
# Builds the packages and the tarball for one architecture:
#
#     build.sh ARCH VERSION OUT
#
# ARCH is Go's word for it, VERSION what `git describe` says, OUT a directory. GO, NFPM and
# LDFLAGS come from the Makefile. Two runs on one commit give the same bytes: every time in
# them is the commit's, SOURCE_DATE_EPOCH.
set -eu
umask 022
arch=$1 version=$2 out=$3
cd "$(dirname "$0")/../.."
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
common=$work/common
share=$common/usr/share
doc=$share/doc/ftpalg

# put MODE FILE PLACE installs a file, compressed where PLACE ends with .gz.
put() {
	mkdir -p "$(dirname "$3")"
	case $3 in
	*.gz) gzip -9n <"$2" >"$3" ;;
	*) cp "$2" "$3" ;;
	esac
	chmod "$1" "$3"
}

# The programs. What go knows of the checkout stays out, so that a tree without git gives
# the same.
for program in ftpalg ftplab; do
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch $GO build -trimpath -buildvcs=false -ldflags "$LDFLAGS" \
		-o "$common/usr/sbin/$program" "./cmd/$program"
	chmod 755 "$common/usr/sbin/$program"
done

for page in ftpalg.8 ftplab.8 ftpalg.toml.5; do
	put 644 "deploy/man/$page" "$share/man/man${page##*.}/$page.gz"
done

# The licences of what is linked in ask to be handed on with it.
notices=$work/notices
{
	echo "What is linked into ftpalg and ftplab, and under which terms."
	printf '\n==== Go %s\n\n' "$($GO env GOVERSION)"
	cat "$($GO env GOROOT)/LICENSE"
	GOOS=linux GOARCH=$arch $GO list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' \
		./cmd/ftpalg ./cmd/ftplab | sort -u | while read -r path number dir; do
		printf '\n==== %s %s\n' "$path" "$number"
		found=
		for text in "$dir"/LICEN[CS]E* "$dir"/COPYING* "$dir"/NOTICE*; do
			[ -f "$text" ] || continue
			found=yes
			echo
			cat "$text"
		done
		[ -n "$found" ] || { echo "build.sh: $path names no licence" >&2; exit 1; }
	done
} >"$notices"
put 644 "$notices" "$doc/THIRD-PARTY.gz"
put 644 deploy/packaging/copyright "$doc/copyright"
put 644 README.md "$doc/README.md"
put 644 .github/CHANGELOG.md "$doc/CHANGELOG.md.gz"
put 644 deploy/performance.md "$doc/performance.md"
find deploy/doc -name '*.md' | while read -r file; do
	put 644 "$file" "$doc/${file#deploy/doc/}"
done
# Firewalls to begin with, and what shows the metrics.
for file in deploy/nftables/* deploy/grafana/*; do
	[ ! -f "$file" ] || put 644 "$file" "$doc/examples/${file#deploy/}"
done

# What differs: where zsh looks, and who starts services. The programs that write the
# completions run here, so they are of this machine's kind.
host=$work/host
mkdir "$host"
for program in ftpalg ftplab; do
	CGO_ENABLED=0 $GO build -trimpath -buildvcs=false -o "$host/$program" "./cmd/$program"
	for shell in bash zsh fish; do
		"$host/$program" completion $shell >"$host/$program.$shell"
	done
	put 644 "$host/$program.bash" "$share/bash-completion/completions/$program"
	put 644 "$host/$program.fish" "$share/fish/vendor_completions.d/$program.fish"
	put 644 "$host/$program.zsh" "$work/deb/usr/share/zsh/vendor-completions/_$program"
	for format in rpm apk tar; do
		put 644 "$host/$program.zsh" "$work/$format/usr/share/zsh/site-functions/_$program"
	done
done
for format in rpm apk tar; do # Debian has the text of its licences in one place
	put 644 LICENSE "$work/$format/usr/share/licenses/ftpalg/LICENSE"
done
for format in deb rpm tar; do
	put 644 deploy/systemd/ftpalg.service "$work/$format/usr/lib/systemd/system/ftpalg.service"
	if [ -f deploy/systemd/ftpalg.sysusers ]; then
		put 644 deploy/systemd/ftpalg.sysusers "$work/$format/usr/lib/sysusers.d/ftpalg.conf"
	fi
done
put 755 deploy/packaging/apk/ftpalg.initd "$work/apk/etc/init.d/ftpalg"

config=$work/config/ftpalg.toml
put 644 deploy/config/ftpalg.toml "$config"

# v1.2.3-rc1-5-g0123abc: five commits after the tag v1.2.3-rc1. The commit's time puts
# those between two releases in order. apk has its own words, and none for the commit.
commits=$(expr "$version" : '.*\(-[0-9][0-9]*-g[0-9a-f]*\)') || commits=
case $version in
v[0-9]*) release=${version%-dirty} release=${release#v} release=${release%"$commits"} ;;
*) release=0.0.0 commits=${version%-dirty} ;;
esac
case $release in
*-*) pre=${release#*-} release=${release%%-*} ;;
*) pre= ;;
esac
when=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S)
plain=$release${pre:+~$pre}${commits:+"+git$when.${commits##*-g}"}
alpine=$release${pre:+_$pre}${commits:+_git$when}
case $version in *-dirty) plain=$plain.dirty ;; esac

# apk keeps the times of its scripts.
mkdir "$work/scripts"
cp -r deploy/packaging/nfpm.yaml deploy/packaging/deb deploy/packaging/rpm deploy/packaging/apk "$work/scripts/"
find "$work" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

mkdir -p "$out"
target=$(realpath "$out")
export PACKAGE_ARCH="$arch"
for format in deb rpm apk; do
	case $format in
	deb) PACKAGE_VERSION=$plain file=ftpalg_${plain}_$arch.deb ;;
	rpm) PACKAGE_VERSION=$plain file=ftpalg-$plain-1.$(case $arch in amd64) echo x86_64 ;; arm64) echo aarch64 ;; *) echo "$arch" ;; esac).rpm ;;
	apk) PACKAGE_VERSION=$alpine file=ftpalg-$alpine-$(case $arch in amd64) echo x86_64 ;; arm64) echo aarch64 ;; *) echo "$arch" ;; esac).apk ;;
	esac
	export PACKAGE_VERSION
	(cd "$work" && "$NFPM" package --config scripts/nfpm.yaml --packager $format --target "$target/$file" >/dev/null)
	echo "$out/$file"
done

# The tarball has the same, as it would stand under /.
name=ftpalg-$plain-linux-$arch
mkdir -p "$work/$name/etc/ftpalg"
cp -a "$common/." "$work/tar/." "$work/$name/"
cp -a "$config" "$work/$name/etc/ftpalg/"
find "$work/$name" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
echo "$out/$name.tar.gz"
