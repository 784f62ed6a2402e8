package load

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// phase is what a session waits for.
type phase int

const (
	greeting     phase = iota // 220
	naming                    // 331
	proving                   // 230
	resting                   // nothing: it has logged in
	asking                    // replies to NOOP
	announcing                // 200
	learning                  // 227 or 229
	joining                   // the data connection that the client opens
	transferring              // 226, and the end of the data
	leaving                   // 221
	stopped                   // nothing: it is over
)

var phases = [...]string{
	"before 220", "before 331", "before 230", "at rest", "before the reply to NOOP", "before the reply to PORT",
	"before the reply to PASV", "before the data connection", "before the end of a transfer", "before 221", "at the end",
}

// String says when something happened.
func (p phase) String() string { return phases[p] }

// session is one client.
type session struct {
	control
	client *client
	local  netip.Addr

	phase          phase
	began          time.Time
	was            bool // logged in before: this is another connection of the same session
	replies        int  // to NOOP that have not come
	listener, data int  // -1: none
	told, carried  bool // of a transfer: 226 came, and the data went
	left           int64
	out            []byte
}

func (s *session) close() {
	s.closeData()
	s.client.poller.drop(&s.fd)
}

func (s *session) closeData() {
	s.client.poller.drop(&s.listener)
	s.client.poller.drop(&s.data)
}

// connect begins a control connection.
func (s *session) connect() {
	s.close()
	s.phase, s.began = greeting, time.Now()
	s.in, s.at = s.in[:0], 0
	fd, err := dial(netip.AddrPortFrom(s.local, 0), s.client.Server)
	if err == nil {
		s.fd = fd
		err = s.client.poller.add(fd, unix.EPOLLIN, s)
	}
	if err != nil {
		// expire ends it, with this for a reason, and another try follows: not at once.
		s.client.tally.Failures[err.Error()]++
	}
}

// fail notes a failure. The session goes on with a new connection, if there is time.
func (s *session) fail(why string) {
	s.client.tally.Failed++
	s.client.tally.Failures[why]++
	s.restart()
}

func (s *session) restart() {
	s.close()
	if s.client.over || s.client.begun && s.client.Duration == 0 {
		s.stop()
		return
	}
	s.connect()
}

func (s *session) stop() {
	s.phase = stopped
	s.client.stopped++
}

// another begins the next of what the session does.
func (s *session) another() {
	if s.client.over {
		s.stop()
		return
	}
	s.began = time.Now()
	if err := s.begin(); err != nil {
		s.fail(err.Error())
	}
}

func (s *session) begin() error {
	switch s.client.Kind {
	case Noop:
		s.phase, s.replies = asking, s.client.Pipeline
		s.out = s.out[:0]
		for range s.client.Pipeline {
			s.out = append(s.out, "NOOP\r\n"...)
		}
		return s.say(s.out)
	case Passive:
		s.phase = learning
		if s.local.Is4() {
			return s.say([]byte("PASV\r\n"))
		}
		return s.say([]byte("EPSV\r\n"))
	case Active, Store:
		return s.announce()
	case Login:
		s.phase = leaving // the first of all has only to begin anew
		return s.say([]byte("QUIT\r\n"))
	}
	return fmt.Errorf("there is no kind %q", s.client.Kind)
}

func (s *session) announce() error {
	fd, at, err := s.client.listenForData(s.local)
	if err != nil {
		return err
	}
	s.listener = fd
	if err := s.client.poller.add(fd, unix.EPOLLIN, s); err != nil {
		return err
	}
	s.phase = announcing
	if at.Addr().Is4() {
		s.out = comma(append(s.out[:0], "PORT "...), at)
	} else {
		s.out = bars(append(s.out[:0], "EPRT "...), at)
	}
	return s.say(append(s.out, "\r\n"...))
}

// request names the file.
func (s *session) request() error {
	s.phase, s.told, s.carried = transferring, false, false
	s.left = s.client.Bytes
	s.out = append(s.out[:0], "RETR "...)
	if s.client.Kind == Store {
		s.out = append(s.out[:0], "STOR "...)
	}
	return s.say(append(strconv.AppendInt(s.out, s.client.Bytes, 10), "\r\n"...))
}

func (s *session) ready(fd int, _ uint32) {
	var err error
	switch fd {
	case s.fd:
		err = s.hear()
	case s.listener:
		if c := accept(fd); c >= 0 {
			s.client.poller.drop(&s.listener)
			s.data = c
			err = s.client.poller.add(c, s.direction(), s)
		}
	case s.data:
		err = s.carry()
	}
	if err != nil {
		s.fail(err.Error())
	}
}

// direction is what the data connection is waited for.
func (s *session) direction() uint32 {
	if s.client.Kind == Store {
		return unix.EPOLLOUT
	}
	return unix.EPOLLIN
}

// hear takes replies.
func (s *session) hear() error {
	err := s.read()
	if errors.Is(err, io.EOF) && s.phase == leaving {
		s.bye()
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w, %s", err, s.phase)
	}
	for s.fd >= 0 && s.phase != stopped {
		line, ok := s.line()
		if !ok {
			break
		}
		if err := s.reply(line); err != nil {
			return err
		}
	}
	return nil
}

// expected are the codes that each phase waits for.
var expected = [...]string{
	greeting: "220", naming: "331", proving: "230", asking: "200", announcing: "200", learning: "22", transferring: "", leaving: "221",
}

func (s *session) reply(line []byte) error {
	want := "?"
	if int(s.phase) < len(expected) && s.phase != resting && s.phase != joining {
		want = expected[s.phase]
	}
	if len(line) < 4 || string(line[:len(want)]) != want {
		return fmt.Errorf("%.60q %s", line, s.phase)
	}
	switch s.phase {
	case greeting:
		s.phase = naming
		return s.say([]byte("USER bench\r\n"))
	case naming:
		s.phase = proving
		return s.say([]byte("PASS bench\r\n"))
	case proving:
		s.loggedIn()
	case asking:
		if s.replies--; s.replies == 0 {
			s.done()
		}
	case announcing:
		return s.request()
	case learning:
		return s.join(string(line))
	case transferring:
		return s.progress(line)
	case leaving:
		s.bye()
	}
	return nil
}

func (s *session) loggedIn() {
	s.phase = resting
	if !s.was {
		s.was = true
		s.client.ready++
		if !s.client.begun {
			return
		}
	}
	switch {
	case !s.client.begun:
	case s.client.Kind == Login:
		s.client.count(s.began)
		s.another()
	default:
		s.another()
	}
}

// bye is the end of a control connection that said QUIT.
func (s *session) bye() {
	if s.client.over {
		s.close()
		s.stop()
		return
	}
	s.connect()
}

func (s *session) done() {
	s.phase = resting
	s.client.count(s.began)
	if s.client.Duration == 0 {
		s.stop()
		return
	}
	s.another()
}
