package main_test

import (
	"fmt"
	"strings"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// clientProgram is one of the clients. Its script gets small and big as got.small and
// got.big, puts ../small and ../big as put.small and put.big, and writes what it lists
// to the file listing.
type clientProgram struct {
	name   string
	script func(combination) string

	only4     bool   // it knows no IPv6
	cannotPut string // why it puts nothing
}

// lacks says why the client cannot do what the combination asks of it, or nothing. All
// of them announce by EPRT where they know IPv6. The last is the gateway's: a combination
// that begins to work fails the test, and is struck here.
func (c clientProgram) lacks(asked combination) string {
	switch {
	case asked.host.Is6() && c.only4:
		return c.name + " knows IPv4 addresses alone"
	case c.name == lftpAsync && asked.server == "pyftpdlib" && asked.mode == "active":
		return "pyftpdlib answers the RETR behind a PORT before the PORT, and lftp takes each reply for the other's"
	}
	return ""
}

const lftpAsync = "lftp sync-mode off"

var clientPrograms = []clientProgram{
	{name: "lftp sync-mode on", script: func(c combination) string { return lftp(c, "on") }},
	{name: lftpAsync, script: func(c combination) string { return lftp(c, "off") }},
	{name: "curl", script: func(c combination) string { return curl(c, "") }},
	{name: "curl without EPRT and EPSV", script: func(c combination) string { return curl(c, "--disable-eprt --disable-epsv") }},
	{name: "tnftp", script: tnftp},
	{name: "ncftp", script: ncftp, only4: true},
	{name: "wget", script: wget, cannotPut: "wget only downloads"},
	{name: "ftplib", script: ftplib},
}

// choose returns one of two words, by the mode.
func (c combination) choose(active, passive string) string {
	if c.mode == "active" {
		return active
	}
	return passive
}

// fill puts the combination's values in the place of their names.
func (c combination) fill(text string) string {
	return strings.NewReplacer("URL", c.url(), "HOST", c.host.String(), "USER", lab.User, "PASSWORD", lab.Password).Replace(text)
}

func lftp(c combination, sync string) string {
	return c.fill(fmt.Sprintf(`lftp -c '
set cmd:fail-exit yes
set net:timeout 10
set net:max-retries 1
set ftp:passive-mode %s
set ftp:auto-passive-mode off
set ftp:sync-mode %s
open URL
get small -o got.small
get big -o got.big
put ../small -o put.small
put ../big -o put.big
ls > listing
'`, c.choose("off", "on"), sync))
}

func curl(c combination, options string) string {
	return c.fill(fmt.Sprintf(`
ftp() { curl --silent --show-error --globoff --max-time 20 %s "$@"; }
ftp -o got.small URL/small -o got.big URL/big
ftp -T ../small URL/put.small
ftp -T ../big URL/put.big
ftp URL/ >listing
`, c.choose("--ftp-port - ", "--ftp-pasv ")+options))
}

// tnftp -A and -p do not fall back to the other mode.
func tnftp(c combination) string {
	return c.fill(fmt.Sprintf(`
tnftp -n -i -v -q 10 %s HOST <<.
user USER PASSWORD
binary
get small got.small
get big got.big
put ../small put.small
put ../big put.big
ls . listing
quit
.
`, c.choose("-A", "-p")))
}

func ncftp(c combination) string {
	return c.fill(fmt.Sprintf(`
flags='%s -t 10 -r 1 -u USER -p PASSWORD'
ncftpget -V $flags -C HOST small got.small
ncftpget -V $flags -C HOST big got.big
ncftpput -V $flags -C HOST ../small put.small
ncftpput -V $flags -C HOST ../big put.big
ncftpls $flags -l ftp://HOST/ >listing
`, c.choose("-E", "-F")))
}

// wget lists as a page of links.
func wget(c combination) string {
	return c.fill(fmt.Sprintf(`
ftp() { wget -nv --tries 1 --timeout 10 %s "$@"; }
ftp -O got.small URL/small
ftp -O got.big URL/big
ftp -O listing URL/
`, c.choose("--no-passive-ftp", "--passive-ftp")))
}

// ftplib is Debian's python's.
func ftplib(c combination) string {
	return c.fill(fmt.Sprintf(`/usr/bin/python3 - <<.
import ftplib
ftp = ftplib.FTP(timeout=10)
ftp.connect("HOST")
ftp.login("USER", "PASSWORD")
ftp.set_pasv(%s)
for name in "small", "big":
    with open("got." + name, "wb") as f:
        ftp.retrbinary("RETR " + name, f.write)
    with open("../" + name, "rb") as f:
        ftp.storbinary("STOR put." + name, f)
with open("listing", "w") as f:
    ftp.retrlines("LIST", lambda line: print(line, file=f))
ftp.quit()
.
`, c.choose("False", "True")))
}
