// Package dialogue is what client and server of one FTP control connection have said
// and agreed.
package dialogue
