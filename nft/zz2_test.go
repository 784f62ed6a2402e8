package nft
import "os/exec"
func execNft(line string) string {
	out, err := exec.Command("nft", "add rule inet filter forward " + line).CombinedOutput()
	if err != nil { return string(out) }
	return ""
}
