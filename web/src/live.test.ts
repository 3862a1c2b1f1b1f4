import { expect, test } from 'vitest';
import { Reader } from './live';

test('events are read wherever the pieces of the stream end', () => {
  const reader = new Reader();
  expect(reader.feed('id: 7\nda')).toEqual([]);
  expect(reader.feed('ta: {"a":1}\n\n: keep alive\n\nevent: standing\ndata: x\ndata: y\n\n')).toEqual([
    { id: '7', event: 'message', data: '{"a":1}' },
    { id: null, event: 'standing', data: 'x\ny' },
  ]);
});
