/** The product's mark, a neuron's spike; `logo.svg` is the same drawing as a file, for the browser's tab. */
export function Logo({ class: className }: { readonly class?: string }) {
  return (
    <svg class={className ?? "logo"} viewBox="0 0 32 32" fill="none" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path
        d="M5 19.500h5.200c1.3 0 1.8-.6 2.2-1.900L14.8 8.500c.3-1.1 1.6-1.1 1.9 0l3.2 14c.3 1.2 1.7 1.3 2.1.2l.7-1.900c.3-.9.9-1.3 1.9-1.300H27"
        stroke="var(--on-accent)"
        stroke-width="2.2"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
