package metrics

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// patient is a source that answers only whom it has time for.
type patient struct{ source }

func (p *patient) Numbers(ctx context.Context) (Numbers, error) {
	if err := ctx.Err(); err != nil {
		return Numbers{}, err
	}
	return p.source.Numbers(ctx)
}

// One who does not wait for his answer must not have another be told that the daemon is ill.
func TestOneWhoLeavesSpoilsNobodysAnswer(t *testing.T) {
	t.Parallel()
	h := handler(&patient{*two()})
	gone, leave := context.WithCancel(t.Context())
	leave()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(gone, http.MethodGet, "/healthz", nil))
	if code, lines := scrape(t, h, "/healthz"); code != http.StatusOK {
		t.Error(code, lines)
	}
}
