import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwardChainName, parseForwardChains } from './host-forward.ts'

test('parseForwardChains() finds the chains on the forward hook and which of them drop', () => {
  const listing = `table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy drop;
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
	chain DOCKER-USER {
	}
}
table inet wharf {
	chain forward {
		type filter hook forward priority 0; policy accept;
	}
	chain user-forward {
	}
}
table ip nat {
	chain PREROUTING {
		type nat hook prerouting priority dstnat; policy accept;
	}
}
`
  assert.deepEqual(parseForwardChains(listing), [
    { family: 'ip', table: 'filter', chain: 'FORWARD', drops: true },
    { family: 'inet', table: 'wharf', chain: 'forward', drops: false },
  ])
  assert.deepEqual(parseForwardChains(''), [])
})

test('forwardChainName() tells instances apart and fits into iptables', () => {
  assert.equal(forwardChainName('wharf'), 'WHARF-FORWARD')
  assert.equal(forwardChainName('second'), 'WHARF-FORWARD-second')
  assert.equal(forwardChainName('an-instance-with-a-long-name').length, 28)
})
