"""The measurements that ``scripts/bench`` makes; see docs/performance.md. Only for development, never installed."""
