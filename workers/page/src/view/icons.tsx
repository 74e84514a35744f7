import type { ComponentChildren } from "preact";

function Icon({ children }: { readonly children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      stroke-width="1.6"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

const icon = (path: string) => () => (
  <Icon>
    <path d={path} />
  </Icon>
);

export const PlusIcon = icon("M10 4v12M4 10h12");
export const MenuIcon = icon("M3.5 6h13M3.5 10h13M3.5 14h8");
export const CloseIcon = icon("m5 5 10 10M15 5 5 15");
export const SendIcon = icon("M10 16V4.5M5 9l5-5 5 5");
export const CopyIcon = icon(
  "M7.5 7.5v-2a2 2 0 0 1 2-2h5a2 2 0 0 1 2 2v5a2 2 0 0 1-2 2h-2M5.5 7.500h5a2 2 0 0 1 2 2v5a2 2 0 0 1-2 2h-5a2 2 0 0 1-2-2v-5a2 2 0 0 1 2-2z",
);
export const CheckIcon = icon("m4 10.5 4 4 8-9");
export const EditIcon = icon("m12.5 4.5 3 3L7 16H4v-3zM10.5 6.500l3 3");
export const RetryIcon = icon("M16 10a6 6 0 1 1-1.8-4.300L16 7.500M16 3.500v4h-4");
export const CodeIcon = icon("m7 6-4 4 4 4M13 6l4 4-4 4");
export const PreviousIcon = icon("m12 5-5 5 5 5");
export const NextIcon = icon("m8 5 5 5-5 5");
export const DownIcon = icon("M10 4v11.500M5 11l5 5 5-5");
export const SlidersIcon = icon("M3.5 6h7M14.5 6h2M3.5 14h2M9.5 14h7M12.5 4v4M7.5 12v4");
export const ForkIcon = icon("M6 4v12M6 9.500c0 2.500 8 1 8-3.500V4M4 14l2 2 2-2M12 6l2-2 2 2");
export const ShareIcon = icon("M10 12V3.500M6.500 6.500 10 3l3.500 3.500M4.500 10v6h11v-6");
export const DocumentIcon = icon("M5.500 3h6l3.500 3.500V17h-9.500zM11 3v4h4M8 10.500h4.500M8 13.500h4.500");
export const WarningIcon = icon("M10 3.5 17.5 16h-15zM10 8.500v3.500M10 14.200v.1");

export function MoreIcon() {
  return (
    <svg class="icon" viewBox="0 0 20 20" fill="currentColor" aria-hidden="true">
      <circle cx="4.5" cy="10" r="1.5" />
      <circle cx="10" cy="10" r="1.5" />
      <circle cx="15.5" cy="10" r="1.5" />
    </svg>
  );
}

export function StopIcon() {
  return (
    <svg class="icon" viewBox="0 0 20 20" fill="currentColor" aria-hidden="true">
      <rect x="5.5" y="5.5" width="9" height="9" rx="1.5" />
    </svg>
  );
}
