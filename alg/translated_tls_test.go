package alg_test

import (
	"strings"
	"testing"

	"github.com/ftpalg/ftpalg/alg"
)

// An encrypted dialogue behind a port forwarding needs a server that knows its outside
// address; one of a masqueraded client does not.
func TestAnEncryptedDialogueBehindATranslation(t *testing.T) {
	for _, tc := range []struct {
		client, server string
		wants          bool
	}{{clientAddr, outsideServer, true}, {outsideClient, outsideServer, true}, {outsideClient, serverAddr, false}} {
		x, _ := newTranslated(t, tc.client, tc.server)
		x.login()
		x.c("AUTH TLS")
		x.s("234 go")
		if reason := x.last(alg.AuthTLS).Reason; strings.Contains(reason, "masquerade address") != tc.wants {
			t.Errorf("client seen as %s, server as %s: %s", tc.client, tc.server, reason)
		}
	}
}
