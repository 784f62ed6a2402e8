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
	// optional: there are servers that do not answer this.
	optional
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
		if last.kind == k && last.flags == flags && last.n < 1<<16-1 {
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
	if drop { // what stands before it stays away
		d.remove(0, i)
		i = 0
	}
	if d.entries[i].n == 0 {
		d.remove(i, 1)
	}
	return e.kind, e.flags&stale != 0, true
}

// find returns the index of the command that a final reply answers, or -1, and whether
// the commands before it will not be answered any more.
//
// It is the oldest, with three exceptions. A 227 or 229 answers a PASV or EPSV, wherever
// it stands: so the dialogue finds back into step. A server that reads commands during a
// transfer answers NOOP and STAT before the transfer ends. And what a server need not
// answer is passed over by a reply that does not fit it.
func (d *due) find(code int) (at int, drop bool) {
	switch code {
	case 227:
		if i := d.first(passive); i >= 0 {
			return i, true
		}
	case 229:
		if i := d.first(extended); i >= 0 {
			return i, true
		}
	}
	for i := range int(d.n) {
		e := d.entries[i]
		switch {
		case e.flags&optional != 0 && !fits(e.kind, code):
			continue
		case e.kind == transfer && !fits(transfer, code):
			for j := i + 1; j < int(d.n) && d.entries[j].kind != transfer; j++ {
				if k := d.entries[j].kind; (k == noop || k == stat) && fits(k, code) {
					return j, false
				}
			}
		}
		return i, true
	}
	return -1, false
}

// begin notes a preliminary reply, and reports whether it is to a transfer command that
// uses the live announcement. What stands before that may not be answered any more, or
// late: pyftpdlib answers a RETR that was sent behind a PORT before the PORT.
func (d *due) begin(code int) bool {
	i := d.first(transfer)
	if i < 0 || code != 125 && code != 150 {
		return false
	}
	for j := range i {
		d.entries[j].flags |= optional
	}
	return d.entries[i].flags&stale == 0
}

// fits reports whether a final reply with this code can be the answer, of commands of
// which that is asked.
func fits(k kind, code int) bool {
	switch k {
	case transfer:
		return code == 225 || code == 226 || code == 250 || code >= 400
	case noop:
		return code < 300 && !fits(transfer, code)
	case stat:
		return code == 211 || code == 212 || code == 213
	case abor:
		return code == 225 || code == 226 || code == 500 || code == 502
	case empty:
		return code == 500 || code == 501 || code == 530
	}
	return code < 400 && !fits(transfer, code)
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

// settle makes the commands about the live announcement stale: another will take its place.
func (d *due) settle() {
	for i := range int(d.n) {
		switch d.entries[i].kind {
		case active, passive, extended, transfer:
			d.entries[i].flags |= stale
		}
	}
}

func (d *due) remove(i, n int) {
	copy(d.entries[i:], d.entries[i+n:d.n])
	clear(d.entries[int(d.n)-n : d.n])
	d.n -= uint8(n)
}
