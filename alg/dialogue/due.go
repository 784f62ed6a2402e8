package dialogue

// kind is what a command that waits for its reply means to the dialogue.
type kind uint8

const (
	plain kind = iota
	user       // USER
	login      // PASS, ACCT
	rein
	auth
	adat
	active   // PORT, EPRT
	passive  // PASV
	extended // EPSV
	epsvAll
	transfer // a command that uses a data connection
	quit     // QUIT beside a transfer
	noop
	stat
	mlst
	abor
	empty // a line without a command
)

// entry is some commands of one kind, one after the other.
type entry struct {
	kind  kind
	flags uint8
	n     uint16
}

const (
	// stale: what the reply says is of no interest any more.
	stale = 1 << iota
	// optional: there are servers that do not answer this, or not where it stands.
	optional
	// begun, of a transfer: its preliminary reply has come.
	begun
)

// maxDue bounds the entries. A client that sends ahead further than this, commands of so
// many kinds, is not followed any more.
const maxDue = 20

// due are the replies that are due, the oldest first. Replies come in the order of the
// commands (RFC 959, section 5.4), but for what [due.find] says.
type due struct {
	entries [maxDue]entry // beyond n they are zero, so that values can be compared
	n       uint8
}

// push notes one command more. It reports false where there is no room.
func (d *due) push(k kind, flags uint8) bool {
	if d.n > 0 {
		last := &d.entries[d.n-1]
		if last.kind == k && k != transfer && last.flags == flags && last.n < 1<<16-1 {
			last.n++
			return true
		}
	}
	if d.n == maxDue {
		return false
	}
	d.entries[d.n] = entry{k, flags, 1}
	d.n++
	return true
}

// answer takes the final reply with this code to the command that it answers. ok is
// false where no reply is due.
func (d *due) answer(code int) (k kind, isStale, ok bool) {
	i, drop := d.find(code)
	if i < 0 {
		return plain, false, false
	}
	e := d.entries[i]
	d.entries[i].n--
	if d.entries[i].n == 0 {
		d.remove(i)
	}
	if drop {
		d.drop(i)
	}
	return e.kind, e.flags&stale != 0, true
}

// find returns the index of the command that a final reply answers, or -1, and whether
// the commands before it will not be answered any more.
//
// It is the oldest, with these exceptions. A 227 or 229 answers a PASV or EPSV, wherever
// it stands: so the dialogue finds back into step. A 225 answers an ABOR, a 221 a QUIT. A
// server that reads commands beside a transfer answers them before the transfer's end. And
// what a server need not answer is passed over by a reply that does not fit it.
func (d *due) find(code int) (at int, drop bool) {
	at = -1
	switch code {
	case 221:
		at = d.first(quit)
	case 225:
		if at = d.first(abor); at >= 0 {
			d.forgive(at)
		}
	case 227:
		at = d.first(passive)
	case 229:
		at = d.first(extended)
	}
	if at >= 0 {
		return at, true
	}
	beside := -1 // a transfer that has begun, and does not end so
	for i := range int(d.n) {
		e := d.entries[i]
		switch {
		case e.fits(code):
		case e.flags&optional != 0:
			continue
		case e.kind == transfer && e.flags&begun != 0:
			beside = i
			continue
		case e.kind == transfer: // it waits for its data connection
			for j := i + 1; j < int(d.n) && d.entries[j].kind != transfer; j++ {
				if k := d.entries[j].kind; (k == noop || k == stat) && d.entries[j].fits(code) {
					return j, false
				}
			}
		}
		return i, true
	}
	return beside, true
}

// begin notes a preliminary reply, and reports whether it is to a transfer command that
// uses the live announcement. What stands before that was not answered and will not be,
// but for PORT: there is a server that answers it when it has connected, and RETR before.
func (d *due) begin(code int) bool {
	if code != 125 && code != 150 {
		return false
	}
	for i := range int(d.n) {
		e := &d.entries[i]
		if e.kind != transfer || e.flags&begun != 0 {
			continue
		}
		e.flags |= begun
		live := e.flags&stale == 0
		for j := i - 1; j >= 0; j-- {
			if d.entries[j].kind == active {
				d.entries[j].flags |= optional
			} else {
				d.remove(j)
			}
		}
		return live
	}
	return false
}

// fits reports whether a final reply with this code can be the answer, of commands of
// which that is asked.
func (e entry) fits(code int) bool {
	switch e.kind {
	case transfer:
		switch {
		case code == 225 || code == 226 || code == 250 || code == 426:
			return true
		case e.flags&optional != 0:
			return false
		case e.flags&begun != 0: // 500 and the like are to a command beside it
			return code/100 == 4 || code/10 == 55
		}
		return code >= 400
	case active:
		return code == 200 || code == 425 || code >= 500 || e.flags&optional == 0
	case noop:
		return code == 200 || code == 500
	case stat:
		return code == 211 || code == 212 || code == 213 || code == 500
	case abor:
		return code == 225 || code == 226 || code == 426 || code == 451 || code == 500 || code == 502
	case empty:
		return code == 500 || code == 501 || code == 530
	}
	return true
}

// first returns the index of the oldest command of a kind, or -1.
func (d *due) first(k kind) int {
	for i := range int(d.n) {
		if d.entries[i].kind == k {
			return i
		}
	}
	return -1
}

func (d *due) has(k kind) bool { return d.first(k) >= 0 }

// uses reports whether a transfer command is due that uses the live announcement.
func (d *due) uses() bool {
	for _, e := range d.entries[:d.n] {
		if e.kind == transfer && e.flags&stale == 0 {
			return true
		}
	}
	return false
}

// ahead reports whether a transfer command that uses the live announcement was sent ahead:
// the server has not come to it yet.
func (d *due) ahead() bool {
	for i, e := range d.entries[:d.n] {
		if e.kind == transfer && e.flags&stale == 0 {
			return i > 0
		}
	}
	return false
}

// beside reports whether a transfer is under way.
func (d *due) beside() bool {
	for _, e := range d.entries[:d.n] {
		if e.kind == transfer && e.flags&begun != 0 {
			return true
		}
	}
	return false
}

// settle makes the commands about the live announcement stale: another will take its place.
func (d *due) settle() {
	for i := range int(d.n) {
		switch d.entries[i].kind {
		case active, passive, extended, transfer:
			d.entries[i].flags |= stale
		}
	}
}

// drop removes what stands before an index. A transfer that has begun will still end.
func (d *due) drop(before int) {
	for i := before - 1; i >= 0; i-- {
		if d.entries[i].kind != transfer || d.entries[i].flags&begun == 0 {
			d.remove(i)
		}
	}
}

// forgive notes that a transfer was aborted: it need not be answered beside the ABOR.
func (d *due) forgive(before int) {
	for i := range before {
		if d.entries[i].kind == transfer {
			d.entries[i].flags |= optional
		}
	}
}

func (d *due) remove(i int) {
	copy(d.entries[i:], d.entries[i+1:d.n])
	d.n--
	d.entries[d.n] = entry{}
}
