package queue

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestStandings(t *testing.T) {
	namespace(t, 1500)
	open(t, Config{Number: 7, MaxLen: 2})
	divert(t, 7)
	from := sender(t, receiver(t, "127.0.0.1"))
	for range 5 {
		if _, err := from.Write([]byte("x")); err != nil {
			t.Log(err) // the queue was full
		}
	}
	f, err := os.Open(StandingsFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all map[uint16]Standing
	for range 100 {
		if all, err = Standings(f); err != nil {
			t.Fatal(err)
		}
		if all[7].Waiting+uint32(all[7].Dropped) >= 5 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if want := (Standing{Waiting: 2, Dropped: 3}); len(all) != 1 || all[7] != want {
		t.Errorf("%+v, want queue 7 with %+v", all, want)
	}
}

func TestStandingsOfAnotherForm(t *testing.T) {
	t.Parallel()
	if all, err := parseStandings([]byte("    7   4711     2 2 65531     3     1       12  1\n   65535 1 0 0 0 0 0 0 1\n")); err != nil || all[7] != (Standing{2, 3, 1}) || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := parseStandings([]byte("7 4711 two")); err == nil {
		t.Error("no error")
	}
}

// The kernel is asked for what it has, whether somebody listens or not.
func TestSupported(t *testing.T) {
	namespace(t, 1500)
	if err := errors.Join(Supported(), LogSupported()); err != nil {
		t.Error(err)
	}
	open(t, Config{Number: 0})
	if err := Supported(); err != nil {
		t.Errorf("where somebody listens: %v", err)
	}
	none := subsystem{"NFNOTHING", "nfnetlink_nothing", "CONFIG_NETFILTER_NETLINK_NOTHING"}
	if err := none.supported(0xff << 8); !errors.Is(err, ErrUnsupported) {
		t.Errorf("what no kernel has: %v", err)
	}
}
