// Package dialogue is what client and server of one FTP control connection have said
// and agreed: who is logged in, which replies are due, which data connection is
// announced, and so which one may be admitted.
//
// Lines go in, decisions come out. A line of the client is given to
// [Dialogue.Command], a line of the server to [Dialogue.Reply]; each appends what
// follows from it to a list of [Decision]. What else there is to know, that bytes were
// lost or that the announced connection came, is told by a call of its own.
//
// A transfer in active mode goes so:
//
//	client  PORT 10,1,4,4,180,117    Announced: the server may want to connect to 10.1.4.4:46197
//	server  200 ok
//	client  RETR file                Open: that connection may come, once
//	server  150 here it comes        Underway
//	server  226 done                 Close
//
// And in passive mode:
//
//	client  PASV
//	server  227 (10,2,5,5,195,80)    Announced, Open: the client may connect to 10.2.5.5:50000
//	client  RETR file
//	server  150 here it comes        Underway
//	server  226 done                 Close
//
// One announcement is live at a time. A transfer that the server refuses before its
// connection came (550) closes the announcement and leaves it standing, for the next
// transfer command. What the operator allows is in the [Rules]; what they forbid is
// [Refused], with the reason. A dialogue that is encrypted is let go of ([Secured]), and one
// that turns out to be no FTP is not followed any more ([Over]).
//
// Servers write names of files into their replies as they are, and whoever makes a
// directory can make its name look like a reply. So where a dialogue gives reason for
// doubt ([Doubted]), no 227 or 229 in it is believed from there on. Active mode goes on:
// what the client says of itself no name can say.
//
// A [Dialogue] is a plain value: it knows no packets, no sequence numbers and no time,
// does no I/O, and points to nothing. It can be copied, compared with ==, written down
// as bytes and taken up again elsewhere. The zero value is a dialogue in which nothing
// has been said. It is not safe for concurrent use.
//
// Each rule of what is believed stands here once, and a test is named after it: they are
// the rule book, rules_*_test.go. What real servers say is recorded in testdata.
package dialogue
