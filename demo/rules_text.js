// The rules of a stream in words.

export function rulesText({ slow_mode_s: seconds, senders, types, hold_first: holdsFirst }) {
  const texts = [];
  if (seconds !== null) texts.push(`Slow mode: one message every ${seconds} s`);
  if (senders === 'members') texts.push('Members only');
  else if (senders !== 'everyone') texts.push(`Only ${[].concat(senders).join(', ')} can write`);
  if (types) texts.push(`Only messages of the types ${types.join(', ')}`);
  if (holdsFirst) texts.push('First messages wait for review');
  return texts.join(' · ') || 'Everyone can write';
}
