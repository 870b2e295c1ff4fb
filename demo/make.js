// Makes an element with these properties.
export function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}
