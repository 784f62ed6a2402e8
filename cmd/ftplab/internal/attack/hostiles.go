package attack

// login is how most dialogues begin.
const login = `
S: 220 hello
C: USER ftpuser
S: 230 in
`

// hostiles are the hostile dialogues, in the order in which they are shown.
var hostiles = []hostile{
	{
		name: "bounce", about: "The client announces the address of its neighbour: the server's connection would go there.",
		script: login + `
C: PORT 10,1,4,5,78,1
S: 200 ok
C: RETR x`,
		to: "neighbour", port: 78<<8 | 1,
	},
	{
		name: "low port", about: "A program on the client is made to announce port 22, where ssh would listen.",
		script: login + `
C: PORT 10,1,4,4,0,22
S: 200 ok
C: RETR x`,
		port: 22,
	},
	{
		name: "unsolicited 227", about: "The server announces a port of its own (227) that no PASV has asked for, " +
			"and the client connects to it: a way out that the rules do not have.",
		script: login + `
S: 227 Entering Passive Mode (10,2,5,5,78,3).
C: RETR x`,
		from: "client", to: "server", port: 78<<8 | 3,
	},
	{
		name: "refused PORT", about: "The server answers PORT with 500, and connects to the port two seconds later.",
		script: login + `
C: PORT 10,1,4,4,78,4
S: 500 no`,
		port: 78<<8 | 4, act: tryAfterRefusal,
	},
	{
		name: "replayed PORT", about: "A data connection has come and gone. Now the segment with its PORT is sent again, and the server connects again.",
		script: `
C: PORT 10,1,4,4,78,5
S: 200 ok`,
		port: 78<<8 | 5, act: tryAfterReplay,
	},
	{
		name: "slipstream", about: "A browser on the client is made to send a form to port 21 of the server, where nobody greets it. " +
			"A line of the form reads PORT, and is made to begin a segment.",
		script: `
C: POST / HTTP/1.1
C: Host: 10.2.5.5:21
C: Content-Length: 32
C:
C: PORT 10,1,4,4,78,6
C: RETR x`,
		port: 78<<8 | 6,
	},
	{
		name: "left open", about: "The client announces a port, asks for a file, and quits. The server connects a second after the end of the session.",
		script: login + `
C: PORT 10,1,4,4,78,7
S: 200 ok
C: RETR x
C: QUIT
S: 221 bye`,
		port: 78<<8 | 7, act: tryAfterEnd,
	},
	{
		name: "stolen port", about: "A third host outside connects to the port that the client has announced to the server.",
		script: login + `
C: PORT 10,1,4,4,78,8
S: 200 ok
C: RETR x`,
		from: "outsider", port: 78<<8 | 8, act: trySteal,
	},
	{
		name: "forged SYN/ACK", about: "As in the slipstream, but the server answers the browser: with a greeting, and with \"encrypted from here on\" (234), " +
			"which nobody had asked for. At the line that reads PORT it forges the beginning of a connection.",
		script: `
C: USER ftpuser
S: 230 in
C: PORT 10,1,4,4,78,9
S: 200 ok
C: RETR x`,
		port: 78<<8 | 9, act: slip, alone: true,
	},
	{
		name: "reset", about: "The client resets a data connection. The server connects to the same port again.",
		script: login + `
C: PORT 10,1,4,4,78,10
S: 200 ok
C: RETR x`,
		port: 78<<8 | 10, act: tryAfterReset,
	},
	{
		name: "reset, then quit", about: "The same, and the server connects again a second after the end of the session.",
		script: login + `
C: PORT 10,1,4,4,78,11
S: 200 ok
C: RETR x`,
		port: 78<<8 | 11, act: tryAfterResetAndEnd,
	},
	{
		name: "in the server's name", about: "A client beside the gateway says PASV, and answers it itself, with the address of the server, " +
			"which is honest. The gateway's reverse-path filter is loose (2), as systemd sets it.",
		script: login + `
C: PASV`,
		forged: []string{"227 Entering Passive Mode (10,2,5,5,78,12)."},
		client: "router", from: "router", to: "server", port: 78<<8 | 12, act: forgeServer,
	},
	{
		name: "in the client's name", about: "The client only connects. The server says USER, PORT and RETR with the client's address, and answers. " +
			"The gateway's reverse-path filter is loose (2), as systemd sets it.",
		script: "S: 220 hello",
		forged: []string{"USER ftpuser", "S: 230 in", "PORT 10,1,4,4,78,13", "S: 200 ok", "RETR x"},
		port:   78<<8 | 13, act: forgeClient,
	},
	{
		name: "names in STAT", about: "The client makes a directory on a real vsftpd whose name has lines of its own, the last of them a 227, " +
			"and has it listed on the control connection. When that line is next, it says PASV.",
		to: "server", from: "client", port: 78<<8 | 14, act: vsftpd.answer, alone: true, asks: "vsftpd",
	},
	{
		name: "names, proftpd", about: "The same with a real proftpd, where lines in names end with LF alone.",
		to: "outsider", from: "client", port: 78<<8 | 15, act: proftpd.answer, alone: true, asks: "proftpd",
	},
}
