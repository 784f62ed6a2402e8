// Package ftp is the grammar of the FTP control connection, as far as a firewall
// has to read it: command lines, reply lines, and the four ways to announce a data
// port (PORT, EPRT, and the replies 227 and 229).
//
// The announcements are read more narrowly than any FTP program reads them. Where
// two programs could disagree on what a line means, the line is an error: a
// pinhole that is not opened is a failed transfer, a pinhole at an address that
// the peers do not mean is a hole.
//
// All functions read bytes that an attacker chose. They never panic, keep no
// reference to their input beyond what they return, and take time linear in the
// input. Reading allocates nothing: errors are package-level values. Functions are
// safe for concurrent use; a [Replies] belongs to one goroutine.
package ftp
