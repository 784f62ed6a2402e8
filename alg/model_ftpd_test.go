package alg_test

import (
	"fmt"
	"strings"
)

// ftpd is an honest FTP server, with the habits by which real ones can be made to say more
// than they mean: they write the names of files and directories as they are.
type ftpd struct {
	crlf    bool // proftpd: a command ends with CR LF, and telnet commands in it are taken out
	blanks  bool // an empty line is answered
	at      int  // of the bytes read, where the next command begins
	names   []string
	port    int             // of the last answer to PASV
	offered map[uint16]bool // all ports in answers to PASV and EPSV
}

// serve reads the commands in what has come since, and returns the replies.
func (f *ftpd) serve(read []byte) string {
	var b strings.Builder
	for {
		line, ok := f.line(string(read[f.at:]))
		if !ok {
			return b.String()
		}
		b.WriteString(f.answer(line))
	}
}

func (f *ftpd) line(text string) (string, bool) {
	end := "\n"
	if f.crlf {
		end = "\r\n"
	}
	line, _, found := strings.Cut(text, end)
	if !found {
		return "", false
	}
	f.at += len(line) + len(end)
	if !f.crlf { // vsftpd: NUL stands for LF in a name
		return strings.ReplaceAll(strings.TrimSuffix(line, "\r"), "\x00", "\n"), true
	}
	line, _, _ = strings.Cut(line, "\x00")
	for {
		i := strings.IndexByte(line, 0xff)
		if i < 0 {
			return line, true
		}
		line = line[:i] + line[min(i+3, len(line)):] // IAC WILL x
	}
}

func (f *ftpd) answer(line string) string {
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "":
		if !f.blanks {
			return ""
		}
	case "USER":
		return "331 Please specify the password.\r\n"
	case "PASS":
		return "230 Login successful.\r\n"
	case "PASV":
		f.offer()
		return fmt.Sprintf("227 Entering Passive Mode (10,2,5,5,%d,%d).\r\n", f.port>>8, f.port&0xff)
	case "EPSV":
		f.offer()
		return fmt.Sprintf("229 Entering Extended Passive Mode (|||%d|).\r\n", f.port)
	case "MKD":
		f.names = append(f.names, arg)
		return "257 \"/" + quote(arg) + "\" created.\r\n"
	case "PWD":
		if len(f.names) == 0 {
			return "257 \"/\" is the current directory.\r\n"
		}
		return "257 \"/" + quote(f.names[len(f.names)-1]) + "\" is the current directory.\r\n"
	case "STAT":
		if arg == "" {
			return "211-FTP server status:\r\n     Logged in\r\n211 End of status\r\n"
		}
		return "213-Status follows:\r\n" + strings.Join(append(f.names, ""), "\r\n") + "213 End of status\r\n"
	case "MLST":
		return "250-Listing " + arg + "\r\n type=dir; " + strings.Join(f.names, "\r\n type=dir; ") + "\r\n250 End\r\n"
	case "CWD": // proftpd says the name, in which only LF can stand there
		return "550 " + strings.ReplaceAll(arg, "\r", "") + ": No such file or directory\r\n"
	case "NOOP", "TYPE", "PORT":
		return "200 ok.\r\n"
	case "RETR":
		return "550 Failed to open file.\r\n"
	case "ABOR":
		return "225 No transfer to ABOR.\r\n"
	}
	return "500 Unknown command.\r\n"
}

// quote doubles quotes in a path (RFC 959, appendix II).
func quote(name string) string { return strings.ReplaceAll(name, `"`, `""`) }

// offer listens at another port.
func (f *ftpd) offer() {
	f.port = max(f.port, 50000) + 1
	f.offered[uint16(f.port)] = true
}
