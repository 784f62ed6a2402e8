package daemon

import (
	"context"
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/conntrack"
	"github.com/ftpalg/ftpalg/nft"
)

// translations are what connection tracking says. From the first control connection on that
// is translated, what is said in such is guarded.
type translations struct {
	*conntrack.Conn
	table *nft.Table
	sink  alg.Sink
}

// Prepare implements alg.Translations.
func (t *translations) Prepare(f alg.Flow, adjustable bool) (alg.Translation, [2]alg.Adjustment, bool, error) {
	seen, a, ok, err := t.Conn.Prepare(f, adjustable)
	if ok && adjustable {
		if err := t.table.Guard(true); err != nil {
			t.sink(alg.Event{
				Time: time.Now(), Kind: alg.Failure, Client: f.Client, Server: f.Server, Err: err,
				Reason: "what is said in a translated connection would pass unread if ftpalg were killed",
			})
		}
	}
	return seen, a, ok, err
}

// guardEvery is how often it is looked whether there is still anything to guard.
const guardEvery = time.Minute

// keepGuard guards translated connections while there are any.
func (d *daemon) keepGuard(ctx context.Context) error {
	if !d.translates {
		return nil
	}
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		guarded := d.flows != nil && d.resumable.translated(d.flows)
		for _, w := range d.workers {
			translated, ok := ask(ctx, w, (*alg.Worker).Translated)
			guarded = guarded || translated || !ok
		}
		if err := d.table.Guard(guarded); err != nil {
			d.log.Error("the guard of translated connections is not as it should be", "error", err)
		}
	}
}
