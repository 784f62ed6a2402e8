// Package dialogue is what client and server of one FTP control connection have said
// and agreed: who is logged in, which replies are due, which data connection is
// announced, and so which one may be admitted.
//
// Lines go in, decisions come out. A line of the client is given to
// [Dialogue.Command], a line of the server to [Dialogue.Reply]; each appends what
// follows from it to a list of [Decision]. What else there is to know, that bytes were
// lost or that the announced connection came, is told by a call of its own.
//
// A [Dialogue] is a plain value: it knows no packets, no sequence numbers and no time,
// does no I/O, and points to nothing. It can be copied, compared with ==, written down
// as bytes and taken up again elsewhere. The zero value is a dialogue in which nothing
// has been said. It is not safe for concurrent use.
//
// Each rule of what is believed stands here once. The tests are named after them: see
// rules_test.go.
package dialogue
