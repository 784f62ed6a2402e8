package attack
import ("testing";"os";"encoding/json";"strings";"time";"fmt")
func TestZ(t *testing.T){ 
 begin:=time.Now()
 var fw []string
 if s:=os.Getenv("FW"); s!="" { fw=strings.Split(s,",") }
 m,err:=Run(t.Context(), Options{Daemon:"/work/main/bin/ftpalg", Firewalls: fw, Progress: func(s string){ fmt.Printf("%6.1f %s\n", time.Since(begin).Seconds(), s)}})
 fmt.Println(time.Since(begin))
 if err!=nil {t.Fatal(err)}
 e:=json.NewEncoder(os.Stdout); e.SetIndent(""," "); e.Encode(m)
}
