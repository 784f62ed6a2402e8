package main_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpalg/ftpalg/deploy/lab"
)

// After AUTH TLS the dialogue cannot be read. For servers that the operator names,
// connections to the ports that he names are admitted while the control connection lives.

const ftpsServer = `[[server]]
addresses  = ["10.2.5.5", "fd00:2:5::5"]
ftps_ports = "50000-50100"
`

// certificate writes a key and a self-signed certificate where vsftpd finds both.
func certificate(t *testing.T, l *lab.Lab, at string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"server"},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})...)
	if err := os.WriteFile(l.Path(at), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// ftps starts vsftpd with TLS, and passive ports within those of ftpsServer.
func (g *gateway) ftps() { g.t.Helper(); g.ftpsWith(nil) }

// ftpsWith is ftps with further settings.
func (g *gateway) ftpsWith(more map[string]string) {
	g.t.Helper()
	at := filepath.Join(g.Server.Home(), "tls.pem")
	certificate(g.t, g.Lab, at)
	settings := map[string]string{
		"ssl_enable": "YES", "rsa_cert_file": at, "rsa_private_key_file": at,
		"force_local_logins_ssl": "YES", "force_local_data_ssl": "YES",
		// curl does not carry a session over from one connection to the other with TLS 1.3.
		"require_ssl_reuse": "NO",
		"pasv_min_port":     "50000", "pasv_max_port": "50050",
	}
	maps.Copy(settings, more)
	if _, err := g.StartVSFTPD(g.t.Context(), lab.VSFTPDOptions{Settings: settings}); err != nil {
		g.t.Fatal(err)
	}
}

func TestFTPSWithCurlAndVSFTPD(t *testing.T) {
	t.Parallel()
	g := newGateway(t, ftpsServer)
	g.ftps()
	const curl = "curl -sS -m 10 -k --ssl-reqd -u ftpuser:ftppass "
	for _, server := range []string{"10.2.5.5", "'[" + g.Server.IPv6.String() + "]'"} {
		url := "ftp://" + server + "/"
		for _, tr := range []struct{ name, line, want string }{
			{"get", curl + url + "R1.cfg", lab.R1},
			{"list", curl + url, "R1.cfg"},
			{"put", "echo up >up; " + curl + "-T up " + url + " && " + curl + url + "up", "up\n"},
			{"8 MB", "head -c 8388608 /dev/urandom >big; " + curl + "-T big " + url + " && " + curl + url + "big | cmp - big && echo same", "same\n"},
		} {
			if out, err := run(t, g.Client, tr.line); err != nil || !strings.Contains(out, tr.want) {
				t.Errorf("%s from %s: %v\n%s", tr.name, server, err, out)
			}
		}
	}
	const transfers = 2 * 6
	admitted := 0
	eventually(t, 2*time.Second, "every data connection is told", func() bool {
		admitted = 0
		for _, e := range g.daemon.Events() {
			if e.Event == "ftps.admitted" {
				admitted++
			}
		}
		return admitted >= transfers
	})
	if admitted != transfers {
		t.Errorf("%d data connections were told, of %d", admitted, transfers)
	}
}

func TestFTPSWithoutTheSettingSaysWhatToSet(t *testing.T) {
	t.Parallel()
	g := newGateway(t, "")
	g.ftps()
	if out, err := run(t, g.Client, "curl -sS -m 2 -k --ssl-reqd -u ftpuser:ftppass ftp://10.2.5.5/R1.cfg"); err == nil {
		t.Errorf("curl succeeded: %s", out)
	}
	e, err := g.daemon.AwaitEvent(t.Context(), func(e lab.Event) bool { return e.Event == "auth.tls" })
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(e.Reason, "ftps_ports") {
		t.Errorf("the reason %q does not name ftps_ports", e.Reason)
	}
}

// probes says which ports of the server the client and its neighbour reach.
type probes struct {
	g *gateway
	f family
}

const (
	insidePort  = 50077 // among ftps_ports; vsftpd takes none above 50050 here
	outsidePort = 50101 // the first that is not
)

func (g *gateway) probes(f family) probes {
	listen(g.t, g.Server, netip.AddrPortFrom(f.server, insidePort))
	listen(g.t, g.Server, netip.AddrPortFrom(f.server, outsidePort))
	listen(g.t, g.Outsider, netip.AddrPortFrom(f.outsider, insidePort))
	return probes{g, f}
}

// want tries them all, at the same time: what is dropped takes its while.
func (p probes) want(inside bool, when string) {
	p.g.t.Helper()
	var all sync.WaitGroup
	for _, try := range []struct {
		what string
		from *lab.Host
		to   netip.AddrPort
		want bool
	}{
		{"a port of ftps_ports", p.g.Client, netip.AddrPortFrom(p.f.server, insidePort), inside},
		{"a port beside ftps_ports", p.g.Client, netip.AddrPortFrom(p.f.server, outsidePort), false},
		{"the server, by another client,", p.g.Neighbour, netip.AddrPortFrom(p.f.server, insidePort), false},
		{"another server", p.g.Client, netip.AddrPortFrom(p.f.outsider, insidePort), false},
	} {
		all.Go(func() {
			if got := reaches(p.g.t, try.from, netip.AddrPort{}, try.to); got != try.want {
				p.g.t.Errorf("%s, %s: %s was reached: %v, want %v", p.f.name, when, try.what, got, try.want)
			}
		})
	}
	all.Wait()
}

// tlsControl is a control connection under TLS with a real server.
type tlsControl struct {
	*tls.Conn
	t  *testing.T
	in *bufio.Reader
}

func (g *gateway) tlsLogin(f family) *tlsControl {
	g.t.Helper()
	conn, err := g.Client.Dial(g.t.Context(), "tcp", netip.AddrPortFrom(f.server, 21).String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &tlsControl{tls.Client(conn, &tls.Config{InsecureSkipVerify: true}), g.t, bufio.NewReader(conn)}
	c.hears("220")
	_, _ = fmt.Fprintf(conn, "AUTH TLS\r\n")
	c.hears("234")
	if err := c.Handshake(); err != nil {
		g.t.Fatal(err)
	}
	c.in = bufio.NewReader(c.Conn)
	c.says("USER "+lab.User, "331")
	c.says("PASS "+lab.Password, "230")
	return c
}

func (c *tlsControl) says(line, answer string) {
	c.t.Helper()
	_, _ = fmt.Fprintf(c.Conn, "%s\r\n", line)
	c.hears(answer)
}

func (c *tlsControl) hears(answer string) {
	c.t.Helper()
	if line, err := c.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, answer) {
		c.t.Fatalf("the server says %q, want %s: %v", line, answer, err)
	}
}

func TestFTPSAdmitsWhileTheControlConnectionLives(t *testing.T) {
	t.Parallel()
	for i, name := range []string{"IPv4", "IPv6"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, ftpsServer)
			g.ftps()
			admitsWhileItLives(t, g, g.families()[i])
		})
	}
}

func admitsWhileItLives(t *testing.T, g *gateway, f family) {
	p := g.probes(f)
	for name, end := range map[string]func(*tlsControl){
		"QUIT": func(c *tlsControl) { c.says("QUIT", "221"); _, _ = c.in.ReadString('\n'); c.Close() },
		"FIN":  func(c *tlsControl) { c.NetConn().Close() },
		"RST":  func(c *tlsControl) { _ = c.NetConn().(*net.TCPConn).SetLinger(0); c.NetConn().Close() },
	} {
		p.want(false, "before AUTH")
		c := g.tlsLogin(f)
		p.want(true, "after the login")
		p.want(true, "once more")
		end(c)
		eventually(t, 3*time.Second, "the end of the control connection is seen", func() bool {
			return !reaches(t, g.Client, netip.AddrPort{}, netip.AddrPortFrom(f.server, insidePort))
		})
		p.want(false, "after "+name)
	}
}

// The bound is a client's, however many control connections it has.
func TestFTPSAdmitsNoMoreThanItsBound(t *testing.T) {
	t.Parallel()
	g := newGateway(t, ftpsServer)
	g.ftps()
	f := g.families()[0]
	g.probes(f)
	g.tlsLogin(f)
	g.tlsLogin(f)
	const bound, many = 32, 48
	var came atomic.Int32
	var all sync.WaitGroup
	within, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	for range many {
		all.Go(func() {
			conn, err := g.Client.Dial(within, "tcp", netip.AddrPortFrom(f.server, insidePort).String())
			if err == nil {
				came.Add(1)
				t.Cleanup(func() { conn.Close() })
			}
		})
	}
	all.Wait()
	if n := came.Load(); n == 0 || n > bound {
		t.Errorf("%d connections at a time came through, want some and no more than %d", n, bound)
	}
}

// A server that says 234 and speaks on in the clear, or whose client does, gets nothing.
func TestFTPSWithoutTLSAdmitsNothing(t *testing.T) {
	t.Parallel()
	g := newGateway(t, ftpsServer)
	hello := "\x16\x03\x01\x00\x05hello\r\n" // looks like the record of a handshake
	for _, f := range g.families() {
		p := g.probes(f)
		for name, then := range map[string]func(*control){
			"nothing said":                  func(*control) {},
			"both in the clear":             func(c *control) { c.c("USER u"); c.s("230 in"); c.c("PASV"); c.s("227 x") },
			"the client alone speaks TLS":   func(c *control) { c.half(hello); c.s("230 in"); c.c("NOOP") },
			"the server alone speaks TLS":   func(c *control) { c.c("USER u"); c.s("\x16\x03\x03\x00\x05hello"); c.c("NOOP") },
			"the server speaks TLS unasked": func(c *control) { c.s("\x16\x03\x03\x00\x05hello") },
		} {
			c := g.login(f)
			c.c("AUTH TLS")
			c.s("234 go")
			then(c)
			p.want(false, name)
			c.close()
		}
		c := g.login(f) // a 234 that nobody asked for
		c.s("234 go")
		c.half(hello)
		c.s("\x16\x03\x03\x00\x05hello")
		p.want(false, "after an unasked 234")
		c.close()
	}
}
