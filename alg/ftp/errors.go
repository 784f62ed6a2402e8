package ftp

import "errors"

// The errors of lines that are not FTP. No function wraps them.
var (
	ErrNotCommand = errors.New("not an FTP command")
	ErrNotReply   = errors.New("not an FTP reply")
)

// ErrEncoding says that bytes are not what this version wrote.
var ErrEncoding = errors.New("not the bytes of a value of this version")

// The errors of announcements. Each is the reason that an operator is told.
var (
	ErrNotSix      = errors.New("not six numbers separated by commas")
	ErrNumber      = errors.New("a number above 255")
	ErrAmbiguous   = errors.New("an ambiguous announcement")
	ErrForm        = errors.New("not of the form |family|address|port|")
	ErrFamily      = errors.New("an address family other than 1 and 2")
	ErrAddress     = errors.New("not an address of the announced family")
	ErrMapped      = errors.New("an IPv4-mapped IPv6 address")
	ErrPortZero    = errors.New("port 0")
	ErrPort        = errors.New("a port above 65535")
	ErrEpsvForm    = errors.New("not of the form (|||port|)")
	ErrEpsvAddress = errors.New("a family or an address in a 229 reply")
	ErrEpsvArg     = errors.New("an EPSV argument other than 1, 2 and ALL")
)
