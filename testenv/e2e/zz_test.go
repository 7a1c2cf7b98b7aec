package e2e_test
import ("testing";"time";"os/exec";"bytes";"fmt";"github.com/kubetape/kubetape/testenv/client";"golang.org/x/sync/errgroup";"context")
func TestZZ(t *testing.T){
	ctx, s := set(t, 3*time.Minute)
	r := record(t, ctx, s, onlyContainers)
	traffic, stop := context.WithCancel(ctx)
	var g errgroup.Group
	for w := range 2 { g.Go(func() error { for i:=0; traffic.Err()==nil; i++ {
		in := must2(uint64(w*1000+i))
		client.Pipe(ctx, s.Containerd.Exec(s.Box, false, "/bin/sh","-c", fmt.Sprintf("workload cat; exit 5; w%di%d",w,i)), client.Streams{Stdin: bytes.NewReader(in)})
	}; return nil})}
	for range 25 { time.Sleep(700*time.Millisecond); r.Kill(); if err:=r.Start(ctx); err!=nil {t.Fatal(err)} ; fmt.Println("RESTARTED", time.Now().UTC())}
	time.Sleep(time.Second)
	stop(); g.Wait(); time.Sleep(3*time.Second); r.Stop()
	exec.Command("rm","-rf","/tmp/pt/zz").Run()
	exec.Command("cp","-a",r.Recordings(),"/tmp/pt/zz").Run()
	out,_ := exec.Command("cat",r.Log()).Output(); fmt.Println(string(out))
}
func must2(seed uint64) []byte { return bytes.Repeat([]byte(fmt.Sprintf("%09d ",seed)),30000) }
