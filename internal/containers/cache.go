package containers

import (
	"container/list"
	"sync"
)

// cache keeps the containers used last. IDs are not used again, so nothing in
// it goes stale.
type cache struct {
	mu    sync.Mutex
	max   int
	used  *list.List // of Info, the last used first; guarded by mu
	byID  map[string]*list.Element
	stats struct{ hits, misses, evicted uint64 } // guarded by mu
}

func newCache(most int) *cache {
	return &cache{max: most, used: list.New(), byID: make(map[string]*list.Element)}
}

func (c *cache) get(id string) (Info, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byID[id]
	if !ok {
		c.stats.misses++
		return Info{}, false
	}
	c.stats.hits++
	c.used.MoveToFront(e)
	return e.Value.(Info).clone(), true
}

func (c *cache) put(i Info) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byID[i.ID]; ok {
		e.Value = i
		c.used.MoveToFront(e)
		return
	}
	c.byID[i.ID] = c.used.PushFront(i)
	for c.used.Len() > c.max {
		last := c.used.Back()
		delete(c.byID, last.Value.(Info).ID)
		c.used.Remove(last)
		c.stats.evicted++
	}
}
