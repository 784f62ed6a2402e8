package tcp

import (
	"errors"
	"testing"
)

// step is one thing that a Handshake sees: a SYN, a SYN/ACK, or the client's first data.
type step struct {
	what     string
	seq, ack uint32
	want     error
}

func TestHandshake(t *testing.T) {
	const syn, answer, data = "SYN", "SYN/ACK", "data"
	const c, s = 0xffffffff, 5000 // the initial numbers; the client's next one is 0
	for name, steps := range map[string][]step{
		"as it should be":        {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 1, nil}},
		"everything comes twice": {{syn, c, 0, nil}, {syn, c, 0, nil}, {answer, s, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 1, nil}, {data, 0, s + 1, nil}},
		"the server spoke first": {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 20, nil}},

		"two SYNs":                              {{syn, c, 0, nil}, {syn, 7, 0, ErrTwoSYNs}},
		"no SYN":                                {{answer, s, 0, ErrWrongAnswer}},
		"another SYN is answered":               {{syn, c, 0, nil}, {answer, s, 8, ErrWrongAnswer}},
		"data in the SYN is acknowledged":       {{syn, c, 0, nil}, {answer, s, 10, ErrWrongAnswer}},
		"two answers":                           {{syn, c, 0, nil}, {answer, s, 0, nil}, {answer, s + 1, 0, ErrTwoAnswers}},
		"no answer":                             {{syn, c, 0, nil}, {data, 0, s + 1, ErrNoAnswer}},
		"the client saw another answer":         {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s, ErrWrongAck}},
		"the client saw more than was sent":     {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 21, ErrWrongAck}},
		"the client saw something else far off": {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 1<<31, ErrWrongAck}},

		"a forged answer when all is done":      {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 1, nil}, {answer, 9, 9, nil}},
		"a wrong ACK when all is done":          {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 1, nil}, {data, 0, 9, nil}},
		"a SYN is another one's, even then":     {{syn, c, 0, nil}, {answer, s, 0, nil}, {data, 0, s + 1, nil}, {syn, 9, 0, ErrTwoSYNs}},
		"the SYN again, after the answer to it": {{syn, c, 0, nil}, {answer, s, 0, nil}, {syn, c, 0, nil}},
	} {
		var h Handshake
		var sent uint32 = s + 20 // up to where the server was seen to send
		for i, st := range steps {
			var err error
			switch st.what {
			case syn:
				err = h.Open(st.seq)
			case answer:
				err = h.Answer(st.seq, st.ack)
			case data:
				err = h.Confirm(st.ack, sent)
			}
			if !errors.Is(err, st.want) {
				t.Errorf("%s: step %d, %s: %v, want %v", name, i, st.what, err, st.want)
			}
			if st.what == data && (err == nil) != h.Done() {
				t.Errorf("%s: %v, and done is %v", name, err, h.Done())
			}
		}
		if client, server := h.First(); h.Done() && (!h.Answered() || client != 0 || server != s+1) {
			t.Errorf("%s: the first bytes are at %d and %d", name, client, server)
		}
	}
	if h := TakenUp(); !h.Answered() || !h.Done() || h.Answer(1, 2) != nil || h.Confirm(3, 4) != nil {
		t.Error("a connection that is taken up waits for its handshake")
	}
}
