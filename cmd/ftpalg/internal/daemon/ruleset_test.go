package daemon

import (
	"errors"
	"testing"
	"time"
)

func TestTroubleIsToldOnceItHasStood(t *testing.T) {
	t.Parallel()
	var trouble trouble
	begin := time.Now()
	missing, busy := errors.New("missing"), errors.New("busy")
	for _, step := range []struct {
		after        time.Duration
		err          error
		news, stands bool
	}{
		{0, missing, false, true}, // in the midst of a reload
		{lookAgain / 2, missing, false, true},
		{lookAgain / 2, nil, false, false},
		{lookAgain, missing, false, true},
		{2 * lookAgain, missing, true, true},
		{3 * lookAgain, missing, false, true},
		{3 * lookAgain, busy, true, true}, // nothing was mended meanwhile
		{4 * lookAgain, nil, false, false},
		{5 * lookAgain, busy, false, true},
		{6 * lookAgain, busy, true, true},
	} {
		if news := trouble.news(step.err, begin.Add(step.after)); news != step.news || trouble.stands() != step.stands {
			t.Errorf("after %v, %v: news %v, stands %v, want %v, %v", step.after, step.err, news, trouble.stands(), step.news, step.stands)
		}
	}
}
