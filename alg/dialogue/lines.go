package dialogue

import "github.com/ftpalg/ftpalg/alg/ftp"

// What a dialogue's owner needs of the grammar, to make lines of bytes.
type (
	// Line is one line of either side.
	Line = ftp.Line
	// Splitter cuts the bytes of one side into lines.
	Splitter = ftp.Splitter
	// AuthScanner finds AUTH in the bytes of a client, whatever else they say.
	AuthScanner = ftp.AuthScanner
)

// How the lines of the two sides end.
const (
	ClientsEnd = ftp.LF
	ServersEnd = ftp.CRLF
)

// ErrEncoding says that bytes are not what this version wrote.
var ErrEncoding = ftp.ErrEncoding
