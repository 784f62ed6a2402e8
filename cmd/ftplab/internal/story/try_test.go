package story
import ("testing";"encoding/json";"os")
func TestTry(t *testing.T){
 s,err:=Run(t.Context(),Options{Daemon:"/work/main/bin/ftpalg",Progress:func(s string){t.Log(s)},PcapDir:"/tmp/pcaps"})
 if err!=nil{t.Fatal(err)}
 b,_:=json.MarshalIndent(s,""," ")
 os.WriteFile("/tmp/story.json",b,0o644)
}
