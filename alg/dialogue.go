package alg

import (
	"bytes"

	"github.com/ftpalg/ftpalg/alg/ftp"
)

// read takes the next bytes of one side, which begin at sequence number at, and acts
// on each line that ends in them. It may change bytes in place, and says so; ok is
// false where the segment must not pass.
func (w *Worker) read(s *session, d side, at uint32, b []byte) (changed, ok bool) {
	if s.phase == greeting && d == fromClient {
		w.giveUp(s, NotFTP, "the client spoke before the server's greeting")
		return false, true
	}
	dir := &s.dirs[d]
	for len(b) > 0 && s.phase <= talking {
		n := bytes.IndexByte(b, '\n')
		whole := n >= 0
		if !whole {
			n = len(b)
		}
		line, before := dir.gather(b[:n], whole)
		if d == fromClient && w.Policy.DenyTLS && !dir.lost {
			if i, found := ftp.AuthAt(line); found && i >= before {
				if !dir.Edit(at+uint32(i-before), refused) {
					w.condemn(s, "too many AUTH without an acknowledgement")
					return changed, false
				}
				b[i-before], line[i] = refused, refused
				changed = true
				w.tell(w.event(s, AuthTLS, "AUTH was turned into another command, as the policy has it"))
			}
		}
		if !whole {
			break
		}
		at += uint32(n) + 1
		b = b[n+1:]
		w.line(s, d, line)
		dir.line, dir.long, dir.lost, dir.urgent = nil, false, false, dir.urgent && len(b) > 0
	}
	return changed, true
}

// refused is the letter that makes AUTH a command that servers refuse.
const refused = 'X'

// gather adds to the line that the stream is in the middle of and returns what there
// is of it, and how much there was before. A line that is whole from the start is
// not copied; of one that is too long only the beginning is kept.
func (dir *direction) gather(b []byte, whole bool) (line []byte, before int) {
	before = len(dir.line)
	switch {
	case dir.lost || dir.long:
		return dir.line, before
	case before+len(b) > maxLine:
		dir.long = true
		dir.line = append(dir.line, b[:min(len(b), beginning)]...)
		dir.line = bytes.Clone(dir.line[:min(len(dir.line), beginning)])
	case before == 0 && whole:
		return b, 0
	default:
		dir.line = append(dir.line, b...)
	}
	return dir.line, before
}

// shorten gives back the memory of a line that does not end: it is not parsed.
func (dir *direction) shorten() {
	if len(dir.line) > beginning {
		dir.line, dir.long = bytes.Clone(dir.line[:beginning]), true
	}
}

// beginning is what is kept of a long line: its verb, or its code.
const beginning = 16

// line acts on one line, without its LF.
func (w *Worker) line(s *session, d side, line []byte) {
	dir := &s.dirs[d]
	switch {
	case dir.lost:
	case d == fromClient:
		w.command(s, line)
	case dir.long:
		reply, whole, err := s.replies.Skip(line)
		w.reply(s, reply, whole, err)
	default:
		reply, whole, err := s.replies.Line(line)
		w.reply(s, reply, whole, err)
	}
}

// command acts on one line of the client.
func (w *Worker) command(s *session, line []byte) {
	dir := &s.dirs[fromClient]
	c, err := ftp.ParseCommand(line)
	switch {
	case err != nil:
		w.giveUp(s, NotFTP, err.Error())
		return
	case dir.long:
		c = w.unread(s, c, "longer than is read")
	case dir.urgent && c.Verb != ftp.Abor:
		// The receiver takes the urgent byte out of the line: who knows what it reads.
		c = w.unread(s, c, "with urgent data in it")
	}
	if s.halfDone {
		s.queue.aborted()
		s.halfDone = false
	}
	means := plain
	switch c.Verb {
	case ftp.User, ftp.Pass, ftp.Acct:
		if c.Verb == ftp.User {
			w.dropAnnouncement(s, "a new USER")
		}
		means = dueLogin
	case ftp.Rein:
		w.dropAnnouncement(s, "REIN")
		means = dueRein
	case ftp.Abor:
		w.dropAnnouncement(s, "ABOR")
		means = dueAbor
	case ftp.Quit:
		w.dropAnnouncement(s, "QUIT")
	case ftp.Auth, ftp.Adat:
		means = dueAuth
	case ftp.Port, ftp.Eprt:
		if w.announce(s, c) {
			means = dueActive
		}
	case ftp.Pasv, ftp.Epsv:
		means = w.ask(s, c)
	case ftp.Lprt, ftp.Lpsv:
		w.dropAnnouncement(s, "a new announcement")
		w.refuse(s, Pinhole{}, c.Verb.String()+" is not helped")
	case ftp.Site, ftp.Other:
		if ftp.Announces(c.Arg) {
			w.refuse(s, Pinhole{}, "an announcement inside another command")
		}
	default:
		if c.Verb.Transfer() {
			means = w.transfer(s)
		}
	}
	if s.phase == talking && !s.queue.push(means) {
		w.giveUp(s, Overload, "too many commands without a reply")
	}
}

// unread stands in for a command that is not acted on.
func (w *Worker) unread(s *session, c ftp.Command, why string) ftp.Command {
	if c.Verb.Announces() {
		w.refuse(s, Pinhole{}, c.Verb.String()+" in a line "+why)
	}
	return ftp.Command{}
}

// reply acts on one line of the server, and on the reply if the line completes one.
func (w *Worker) reply(s *session, r ftp.Reply, whole bool, err error) {
	if s.phase == greeting {
		w.greet(s, r, whole, err)
		return
	}
	if err != nil || !whole {
		return
	}
	if r.Code == 421 { // may come at any time: the server closes (RFC 959, section 5.4)
		w.dropAnnouncement(s, "the server closes the session")
	}
	means, asked := s.queue.peek()
	if r.Preliminary() {
		if asked && means == dueTransfer && s.ann.state == open && !s.ann.looked {
			s.ann.looked = true
			w.pending = append(w.pending, pending{session: s})
		}
		return
	}
	s.queue.pop()
	// 426 is the transfer's own reply, and that to ABOR follows it.
	s.halfDone = means != dueAbor && r.Code != 426 && s.queue.has(dueAbor)
	if r.Code == 234 || asked && means == dueAuth && r.Code == 235 {
		w.secure(s)
		return
	}
	if !asked {
		w.unasked(s, r)
		return
	}
	if !s.proven {
		w.begun(s, "picked up in the middle")
	}
	if r.Code == 530 && s.login == assumed {
		s.login = loggedOut
	}
	w.answer(s, means, r)
	if (r.Code == 227 && means != duePasv) || (r.Code == 229 && means != dueEpsv) {
		w.refuse(s, Pinhole{}, "an announcement that was not asked for")
	}
}

// answer acts on the final reply to a command.
func (w *Worker) answer(s *session, means due, r ftp.Reply) {
	switch means {
	case dueLogin:
		switch {
		case r.Code == 230 || r.Code == 232:
			s.login = loggedIn
		case r.Intermediate():
			s.login = loggedOut
		}
	case dueRein:
		if r.Completed() {
			s.login = loggedOut
			s.epsvAll = false
		}
	case dueEpsvAll:
		if !r.Completed() {
			s.epsvAll = false
		}
	case dueActive:
		w.answerActive(s, r)
	case duePasv, dueEpsv:
		w.answerPassive(s, means, r)
	case dueTransfer:
		w.closePinhole(s, transferEnd(r))
	}
}

func transferEnd(r ftp.Reply) string {
	if r.Completed() {
		return "transfer complete"
	}
	return "transfer refused or broken off"
}

// greet waits for the server's greeting: 220, or 120 and then 220.
func (w *Worker) greet(s *session, r ftp.Reply, whole bool, err error) {
	switch {
	case err != nil:
		w.giveUp(s, NotFTP, "the server's first line is no greeting")
	case !whole || r.Preliminary():
	case r.Code == 220:
		s.phase = talking
		w.begun(s, "")
	case r.Failed(): // busy, or not for this client: the server closes
	default:
		w.giveUp(s, NotFTP, "the server's first reply is no greeting")
	}
}

// unasked acts on a reply without a command. A greeting makes a session that was
// picked up in the middle one that was not: nobody is logged in yet.
func (w *Worker) unasked(s *session, r ftp.Reply) {
	switch r.Code {
	case 220:
		s.login = loggedOut
		if !s.proven {
			w.begun(s, "picked up at the greeting")
		}
	case 227, 229:
		w.refuse(s, Pinhole{}, "an announcement that was not asked for")
	}
}

// secure lets go of a session whose dialogue is encrypted from here on.
func (w *Worker) secure(s *session) {
	w.giveUp(s, AuthTLS, "AUTH was accepted: the dialogue is encrypted, its data connections cannot be helped")
	s.phase = opaque
	w.brief.set(&s.life, w.now.UnixNano()) // for what is under way: the kernel knows the rest
	w.do(s, Op{Kind: OpRelease, Flow: s.flow})
}
