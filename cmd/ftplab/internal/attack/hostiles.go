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
C: PORT 10,1,4,5,200,1
S: 200 ok
C: RETR x`,
		to: "neighbour", port: 200<<8 | 1,
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
S: 227 Entering Passive Mode (10,2,5,5,200,3).
C: RETR x`,
		from: "client", to: "server", port: 200<<8 | 3,
	},
	{
		name: "refused PORT", about: "The server answers PORT with 500, and connects to the port two seconds later.",
		script: login + `
C: PORT 10,1,4,4,200,4
S: 500 no`,
		port: 200<<8 | 4, act: tryAfterRefusal,
	},
	{
		name: "replayed PORT", about: "A data connection has come and gone. Now the segment with its PORT is sent again, and the server connects again.",
		script: `
C: PORT 10,1,4,4,200,5
S: 200 ok`,
		port: 200<<8 | 5, act: tryAfterReplay,
	},
	{
		name: "slipstream", about: "A browser on the client is made to send a form to port 21 of the server, where nobody greets it. " +
			"A line of the form reads PORT, and is made to begin a segment.",
		script: `
C: POST / HTTP/1.1
C: Host: 10.2.5.5:21
C: Content-Length: 32
C:
C: PORT 10,1,4,4,200,6
C: RETR x`,
		port: 200<<8 | 6,
	},
	{
		name: "left open", about: "The client announces a port, asks for a file, and quits. The server connects a second after the end of the session.",
		script: login + `
C: PORT 10,1,4,4,200,7
S: 200 ok
C: RETR x
C: QUIT
S: 221 bye`,
		port: 200<<8 | 7, act: tryAfterEnd,
	},
	{
		name: "stolen port", about: "A third host outside connects to the port that the client has announced to the server.",
		script: login + `
C: PORT 10,1,4,4,200,8
S: 200 ok
C: RETR x`,
		from: "outsider", port: 200<<8 | 8,
	},
}
