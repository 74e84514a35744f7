/** The key code that browsers give every key an input method has taken. */
const compositionKeyCode = 229;

/** Whether this key belongs to an input method. Safari ends the composition before the key that confirms it, and only the old key code tells. */
export function isComposing(event: KeyboardEvent): boolean {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing newer says it
  return event.isComposing || event.keyCode === compositionKeyCode;
}
