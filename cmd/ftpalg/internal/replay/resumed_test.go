package replay

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/ftpalg/ftpalg/alg"
)

// download is a transfer in active mode, of a client that has logged in, and its
// connection.
func (k *talk) download() *talk {
	k.c("NOOP")
	k.s("200 NOOP ok.")
	k.c("PORT 10,1,4,4,180,117")
	k.s("200 PORT command successful.")
	k.c("RETR R1.cfg")
	k.data("10.2.5.5:20", "10.1.4.4:46197")
	k.s("150 Opening BINARY mode data connection.", "226 Transfer complete.")
	return k
}

// warned reports whether exactly one warning has the text in it.
func warned(s *Summary, text string) bool {
	n := 0
	for _, w := range s.Warnings() {
		if strings.Contains(w, text) {
			n++
		}
	}
	return n == 1
}

// Nobody can vouch for a dialogue that began before the file: it is taken up, and said
// to be.
func TestADialogueThatBeganBeforeTheFile(t *testing.T) {
	k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21").download()
	events, s := k.replay()
	if s.Opened != 1 || s.Used != 1 || s.Resumed != 1 || !warned(&s, "began before the file, taken up for active mode alone and after one command and its reply: 1") {
		t.Errorf("%v, %q", &s, s.Warnings())
	}
	if !slices.ContainsFunc(events, func(e alg.Event) bool { return e.Kind == alg.PinholeUsed }) {
		t.Error(events)
	}

	// One that begins within the file is nothing special.
	if _, s := active(t).replay(); s.Resumed != 0 || len(s.Warnings()) > 0 {
		t.Errorf("%v, %q", &s, s.Warnings())
	}
	// After its end a new one between the same ends is none that began before.
	k.send(netip.MustParseAddrPort("10.2.5.5:20"), netip.MustParseAddrPort("10.1.4.4:46197"), layers.TCP{RST: true}, "")
	k.close()
	k.now = k.now.Add(2 * time.Minute)
	k.login().download()
	if _, s := k.replay(); s.Started != 2 || s.Resumed != 1 || s.Used != 2 {
		t.Errorf("%v", &s)
	}
}

// What has once turned out to be no dialogue, or began within the file, is not taken up
// when the engine has forgotten it.
func TestWhatIsNotTakenUp(t *testing.T) {
	for name, begin := range map[string]func(*talk){
		"began before the file": func(*talk) {},
		"its SYN was seen":      (*talk).connect,
		"only its SYN was seen": func(k *talk) { k.send(k.client, k.server, layers.TCP{SYN: true}, ""); k.next[k.client]++ },
	} {
		k := newTalk(t, "10.1.4.4:41138", "10.2.5.5:21")
		begin(k)
		k.c("POST / HTTP/1.1", "Host: 10.2.5.5", "")
		k.s("220 x")
		k.now = k.now.Add(10 * 24 * time.Hour) // no memory reaches that far
		k.download()
		if events, s := k.replay(); s.Opened != 0 || s.Resumed != 0 {
			t.Errorf("%s: %v\n%v", name, &s, events)
		}
	}
}
