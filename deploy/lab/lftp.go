package lab

import (
	"context"
	"fmt"
)

// Script is a piece of the reference dialogue: commands for Host.LFTP.
type Script struct {
	Title    string
	Commands string
}

// Reference are the two control connections of the reference dialogue. The client
// listens at the reference's ports, and both ends remember a closed connection for a
// minute (TIME-WAIT): a second run in the same lab waits as long.
var Reference = []Script{
	{"Download and listing", "set ftp:port-range 46197-46197; get R1.cfg; set ftp:port-range 32963-32963; ls"},
	{"Upload", "set ftp:port-range 44667-44667; put R3.cfg"},
}

// R3 is the file that the reference dialogue uploads: 48 bytes, in the client's home.
const R3 = "hello world\nthis is\nR3's config file, uploaded!\n"

// lftpSettings make lftp speak as in the reference dialogue, and give up soon where
// nothing gets through, instead of trying other ways.
const lftpSettings = `
set ftp:passive-mode off
set ftp:auto-passive-mode off
set ftp:ssl-allow yes
set ftp:ssl-force no
set ftp:use-feat yes
set ftp:use-allo yes
set ftp:use-site-utime no
set ftp:use-site-utime2 no
set ftp:sync-mode on
set net:timeout 5
set net:max-retries 1
set net:persist-retries 0
set xfer:clobber yes
`

// LFTP prepares lftp on the host, logged in at the lab's FTP server, with commands in
// its own language (lftp(1)). It uses active mode unless the commands say otherwise.
// Its exit status is 0 where all of them succeeded.
func (h *Host) LFTP(ctx context.Context, commands string) *Cmd {
	script := fmt.Sprintf("set cmd:fail-exit yes\n%s\nopen -u %s,%s %s\n%s\n",
		lftpSettings, User, Password, h.lab.Server.IPv4, commands)
	return h.Command(ctx, "lftp", "-c", script)
}
