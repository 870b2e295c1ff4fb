// Makes an element with these properties.
export function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

// Disables a control, whose tooltip and description say why; an empty reason enables it.
export function disable(control, why) {
  control.disabled = why !== '';
  control.title = why;
}
