package alg

import (
	"strings"

	"github.com/ftpalg/ftpalg/alg/tcp"
)

// Cause is what a reason comes down to, for those who count: reasons are sentences, and
// these are few.
type Cause uint8

// The causes. Other is that of a reason that has none yet.
const (
	Other Cause = iota

	// Why a pinhole was closed.
	Completed
	BrokenOff
	RefusedByServer
	TimedOut
	Replaced
	LoginChanged
	Quit
	Aborted
	SessionEnded
	Stopped
	Reconfigured
	Secured
	BytesLost
	NotBelieved
	NotDialogue
	BadHandshake
	NotTranslated

	// Why none was opened.
	Malformed
	ForeignAddress
	LowPort
	DeniedPort
	OutsidePassivePorts
	ModeNotAllowed
	NotLoggedIn
	AfterEPSVAll
	WrongFamily
	NotHelped
	OddLine
	NotAskedFor
	MidDialogue

	// What else is a violation.
	Conflicting
	OtherWay

	// Which setting would have admitted a connection that was missed.
	SeeSourcePort
	SeeOpenOn
	SeeBoth

	causes // how many there are
)

// String returns the cause's name, which is a contract as those of the metrics are.
func (c Cause) String() string {
	if c >= causes {
		c = Other
	}
	return [causes]string{
		Other:     "other",
		Completed: "completed", BrokenOff: "broken_off", RefusedByServer: "refused_by_server", TimedOut: "timeout",
		Replaced: "replaced", LoginChanged: "login", Quit: "quit", Aborted: "abor", SessionEnded: "session_end",
		Stopped: "stop", Reconfigured: "configuration", Secured: "encrypted", BytesLost: "not_read", NotBelieved: "not_believed", NotDialogue: "not_ftp",
		BadHandshake: "handshake", NotTranslated: "translation",
		Malformed: "malformed", ForeignAddress: "foreign_address", LowPort: "min_port", DeniedPort: "deny_ports",
		OutsidePassivePorts: "passive_ports", ModeNotAllowed: "modes", NotLoggedIn: "require_login", AfterEPSVAll: "epsv_all",
		WrongFamily: "address_family", NotHelped: "not_helped", OddLine: "odd_line", NotAskedFor: "not_asked_for",
		MidDialogue: "taken_up",
		Conflicting: "conflicting_bytes", OtherWay: "paths",
		SeeSourcePort: "source_port", SeeOpenOn: "open_on", SeeBoth: "source_port_and_open_on",
	}[c]
}

// Causes returns the causes that events of a kind have, in order. Other is none of them.
func Causes(k Kind) []Cause {
	upTo := func(first, last Cause, more ...Cause) (all []Cause) {
		for c := first; c <= last; c++ {
			all = append(all, c)
		}
		return append(all, more...)
	}
	switch k {
	case PinholeClosed: // a violation ends what is open, too
		return upTo(Completed, NotTranslated, ForeignAddress, LowPort, DeniedPort)
	case PinholeRefused:
		return upTo(Malformed, MidDialogue, NotBelieved, NotTranslated)
	case PinholeMissed:
		return upTo(SeeSourcePort, SeeBoth)
	case Violation:
		return upTo(Conflicting, OtherWay, ForeignAddress, LowPort, DeniedPort, Stopped, BytesLost, NotTranslated, SessionEnded)
	}
	return nil
}

// Setting names what an operator can set to have it otherwise, as the configuration does.
// It is empty where nothing would help.
func (c Cause) Setting() string {
	switch c {
	case LowPort, DeniedPort, OutsidePassivePorts, ModeNotAllowed, NotLoggedIn, OtherWay, SeeSourcePort, SeeOpenOn:
		return c.String()
	case SeeBoth:
		return SeeSourcePort.String() + ", " + SeeOpenOn.String()
	case NotBelieved:
		return OutsidePassivePorts.String()
	}
	return ""
}

// CauseOf returns the cause of an event's reason. It is as quick as a map is, but for reasons that
// are put together.
func CauseOf(reason string) Cause {
	if c, ok := plainly[reason]; ok {
		return c
	}
	if of, ok := strings.CutPrefix(reason, announcementOf); ok {
		return CauseOf(of)
	}
	for _, p := range partly {
		if strings.HasPrefix(reason, p.text) || strings.HasSuffix(reason, p.text) {
			return p.Cause
		}
	}
	return Other
}

// announcementOf is how the reason of a violation begins that an announcement was.
const announcementOf = "an announcement of "

// partly are what reasons begin or end with that are put together.
var partly = []struct {
	text string
	Cause
}{
	{" after EPSV ALL", AfterEPSVAll},
	{" is not helped", NotHelped},
	{"in a line longer than is read", OddLine},
	{"in a line with urgent data in it", OddLine},
	{"in a line with a NUL in it", OddLine},
	{" mode is not allowed", ModeNotAllowed},
	{"passive replies are not believed any more: ", NotBelieved},
	{"see source_port and open_on", SeeBoth},
	{"see source_port", SeeSourcePort},
	{"see open_on", SeeOpenOn},
}

// plainly has what other reasons come down to.
var plainly = map[string]Cause{
	"transfer complete":              Completed,
	"transfer refused or broken off": BrokenOff,
	"refused by the server":          RefusedByServer,
	"timeout":                        TimedOut,
	"a new announcement":             Replaced,
	"a new USER":                     LoginChanged,
	"USER":                           LoginChanged,
	"REIN":                           LoginChanged,
	"QUIT":                           Quit,
	"the server closes the session":  Quit,
	"ABOR":                           Aborted,

	"RST":                            SessionEnded,
	"FIN":                            SessionEnded,
	"idle":                           SessionEnded,
	"no room":                        SessionEnded,
	"not followed any more":          SessionEnded,
	"replaced by a new connection":   SessionEnded,
	"the control connection is gone": SessionEnded,
	"it did not go on where the daemon had stopped": SessionEnded,

	"ftpalg stops": Stopped,
	"ftpalg stops while it is not known whether a translated line arrived": Stopped,

	"the configuration has changed":                    Reconfigured,
	"the configuration has its ends be helped no more": Reconfigured,

	"AUTH was accepted": Secured,
	"encrypted":         Secured,

	"bytes of the dialogue were not read":            BytesLost,
	"bytes of a translated connection were not read": BytesLost,
	"the client's first bytes were not read":         BytesLost,
	"the greeting was not seen":                      BytesLost,

	"not an FTP command":                             NotDialogue,
	"a line that begins with no command of FTP":      NotDialogue,
	"a Telnet command in a line":                     NotDialogue,
	"a 234 that nobody asked for":                    NotDialogue,
	"a 234 to a command that no server knows":        NotDialogue,
	"AUTH was accepted, but what follows is not TLS": NotDialogue,
	"the server's first reply is no greeting":        NotDialogue,
	"too many commands without a reply":              NotDialogue,
	"taken up in the middle of a login":              NotDialogue,

	errSYNData.Error():         BadHandshake,
	tcp.ErrTwoSYNs.Error():     BadHandshake,
	tcp.ErrTwoAnswers.Error():  BadHandshake,
	tcp.ErrWrongAnswer.Error(): BadHandshake,
	tcp.ErrNoAnswer.Error():    BadHandshake,
	tcp.ErrWrongAck.Error():    BadHandshake,

	"no port of the translated address is free to stand for it":                             NotTranslated,
	"a line of a translated connection was changed, and it is not known how":                NotTranslated,
	"a line of a translated connection was changed, and it is not known whether it arrived": NotTranslated,
	"its entry in connection tracking is lost":                                              NotTranslated,
	"its translation is not known":                                                          NotTranslated,
	"what stood for it is not known any more":                                               NotTranslated,
	"its line had gone out before it was whole":                                             NotTranslated,
	"its line could not be changed":                                                         NotTranslated,
	"the line of an announcement did not end in time to be translated":                      NotTranslated,
	"the last change of length was not acknowledged in time":                                NotTranslated,

	"not six numbers separated by commas":      Malformed,
	"a number above 255":                       Malformed,
	"an ambiguous announcement":                Malformed,
	"not of the form |family|address|port|":    Malformed,
	"an address family other than 1 and 2":     Malformed,
	"not an address of the announced family":   Malformed,
	"an IPv4-mapped IPv6 address":              Malformed,
	"port 0":                                   Malformed,
	"a port above 65535":                       Malformed,
	"not of the form (|||port|)":               Malformed,
	"a family or an address in a 229 reply":    Malformed,
	"an EPSV argument other than 1, 2 and ALL": Malformed,

	"a foreign address":                                   ForeignAddress,
	"a port below the lowest allowed":                     LowPort,
	"a denied port":                                       DeniedPort,
	"a port outside the server's passive_ports":           OutsidePassivePorts,
	"nobody is logged in":                                 NotLoggedIn,
	"PASV after EPSV ALL":                                 AfterEPSVAll,
	"EPSV for another address family":                     WrongFamily,
	"an announcement inside another command":              NotHelped,
	"an announcement that was not asked for":              NotAskedFor,
	"taken up in its middle: no command was answered yet": MidDialogue,

	"bytes differ from those that passed before":                                  Conflicting,
	"a packet in the name of one end came by another way than that end's (paths)": OtherWay,
}
