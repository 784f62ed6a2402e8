package event

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpalg/ftpalg/alg"
)

var (
	at     = time.Date(2019, 3, 25, 10, 14, 0, 123456789, time.UTC)
	client = netip.MustParseAddrPort("10.1.4.4:41138")
	server = netip.MustParseAddrPort("10.2.5.5:21")
	active = alg.Pinhole{Source: server.Addr(), SourcePorts: alg.Ports{First: 20, Last: 20}, Dest: netip.MustParseAddrPort("10.1.4.4:46197")}
	open6  = alg.Pinhole{Mode: alg.Passive, Source: netip.MustParseAddr("fd00::1"), Dest: netip.MustParseAddrPort("[fd00::2]:50000")}
)

// Events, and how they are written.
var written = []struct {
	event      alg.Event
	json, text string
}{
	{
		alg.Event{Time: at, Kind: alg.SessionStart, Session: 1, Client: client, Server: server},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"session.start","session":1,"client":"10.1.4.4:41138","server":"10.2.5.5:21"}`,
		`2019-03-25T10:14:00.123456Z  session.start      1  10.1.4.4:41138 -> 10.2.5.5:21`,
	},
	{
		alg.Event{Time: at, Kind: alg.PinholeOpen, Session: 1, Client: client, Server: server, Pinhole: active, OpenedAt: at},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"pinhole.open","session":1,"client":"10.1.4.4:41138","server":"10.2.5.5:21","mode":"active","source":"10.2.5.5","source_port":20,"address":"10.1.4.4","port":46197,"opened_at":"2019-03-25T10:14:00.123456789Z"}`,
		`2019-03-25T10:14:00.123456Z  pinhole.open       1  10.1.4.4:41138 -> 10.2.5.5:21  active 10.2.5.5:20 -> 10.1.4.4:46197`,
	},
	{
		alg.Event{
			Time: at, Kind: alg.PinholeClosed, Session: 1, Client: client, Server: server, Reason: "transfer complete", Pinhole: active,
			OpenedAt: at, Open: 1500 * time.Microsecond, Used: true, Counters: alg.Counters{Packets: 8, Bytes: 500},
		},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"pinhole.closed","session":1,"client":"10.1.4.4:41138","server":"10.2.5.5:21","reason":"transfer complete","mode":"active","source":"10.2.5.5","source_port":20,"address":"10.1.4.4","port":46197,"opened_at":"2019-03-25T10:14:00.123456789Z","used":true,"lifetime":"1.5ms","packets":8,"bytes":500}`,
		`2019-03-25T10:14:00.123456Z  pinhole.closed     1  10.1.4.4:41138 -> 10.2.5.5:21  active 10.2.5.5:20 -> 10.1.4.4:46197  used after 1.5ms  transfer complete`,
	},
	{
		alg.Event{Time: at, Kind: alg.PinholeClosed, Session: 12, Client: client, Server: server, Reason: "timeout", Pinhole: open6, OpenedAt: at, Open: 30 * time.Second},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"pinhole.closed","session":12,"client":"10.1.4.4:41138","server":"10.2.5.5:21","reason":"timeout","mode":"passive","source":"fd00::1","source_port":0,"address":"fd00::2","port":50000,"opened_at":"2019-03-25T10:14:00.123456789Z","used":false,"lifetime":"30s"}`,
		`2019-03-25T10:14:00.123456Z  pinhole.closed     12  10.1.4.4:41138 -> 10.2.5.5:21  passive fd00::1 -> [fd00::2]:50000  not used in 30s  timeout`,
	},
	{
		alg.Event{
			Time: at, Kind: alg.PinholeOpen, Session: 12, Client: client, Server: server, OpenedAt: at,
			Pinhole: alg.Pinhole{Source: netip.MustParseAddr("fd00::2"), SourcePorts: alg.Ports{First: 1, Last: 1023}, Dest: netip.MustParseAddrPort("[fd00::1]:50000")},
		},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"pinhole.open","session":12,"client":"10.1.4.4:41138","server":"10.2.5.5:21","mode":"active","source":"fd00::2","source_port":"1-1023","address":"fd00::1","port":50000,"opened_at":"2019-03-25T10:14:00.123456789Z"}`,
		`2019-03-25T10:14:00.123456Z  pinhole.open       12  10.1.4.4:41138 -> 10.2.5.5:21  active [fd00::2]:1-1023 -> [fd00::1]:50000`,
	},
	{
		alg.Event{Time: at, Kind: alg.PinholeClosed, Session: 1, Client: client, Server: server, Reason: "QUIT", Pinhole: active},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"pinhole.closed","session":1,"client":"10.1.4.4:41138","server":"10.2.5.5:21","reason":"QUIT","mode":"active","source":"10.2.5.5","source_port":20,"address":"10.1.4.4","port":46197,"used":false}`,
		`2019-03-25T10:14:00.123456Z  pinhole.closed     1   10.1.4.4:41138 -> 10.2.5.5:21  active 10.2.5.5:20 -> 10.1.4.4:46197  never open  QUIT`,
	},
	{
		alg.Event{Time: at, Kind: alg.Failure, Reason: "a TCP reset could not be sent", Err: errors.New("no")},
		`{"time":"2019-03-25T10:14:00.123456789Z","event":"failure","reason":"a TCP reset could not be sent","error":"no"}`,
		`2019-03-25T10:14:00.123456Z  failure                                               a TCP reset could not be sent  no`,
	},
}

func TestWritten(t *testing.T) {
	var text strings.Builder
	out := NewText(&text)
	for _, w := range written {
		j := From(w.event)
		b, err := json.Marshal(j)
		if err != nil || string(b) != w.json {
			t.Errorf("%v\n%s, want\n%s", err, b, w.json)
		}
		var back JSON
		if err := json.Unmarshal(b, &back); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(j, back, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); d != "" {
			t.Errorf("read back (-want +got):\n%s", d)
		}
		text.Reset()
		if err := out.Write(j); err != nil || text.String() != w.text+"\n" {
			t.Errorf("%v\n%swant\n%s", err, &text, w.text)
		}
	}
}

func TestPorts(t *testing.T) {
	for text, want := range map[string]Ports{"0": {}, "20": {First: 20, Last: 20}, `"1-1023"`: {First: 1, Last: 1023}} {
		var p Ports
		if err := json.Unmarshal([]byte(text), &p); err != nil || p != want {
			t.Errorf("%s is read as %v, %v", text, p, err)
		}
		if b, err := json.Marshal(want); err != nil || string(b) != text {
			t.Errorf("%v is written %s, %v", want, b, err)
		}
	}
	for _, text := range []string{`"20"`, `"any"`, `""`, `"0-5"`, `"5-1"`, `"1-1023x"`, `"1-70000"`, "-1", "70000", "1.5", "[]", "{}"} {
		var p Ports
		if err := json.Unmarshal([]byte(text), &p); err == nil {
			t.Errorf("%s is read as %v", text, p)
		}
	}
}

type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrorsAreReturned(t *testing.T) {
	if err := NewText(full{}).Write(JSON{}); !errors.Is(err, errFull) {
		t.Error(err)
	}
}
