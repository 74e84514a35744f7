/**
 * Whose data something is: 32 lower-case hex digits derived from the key that was sent. Requests without a key have no tenant: nothing of
 * theirs is kept or found, so that strangers share neither state nor timing.
 */
export type TenantId = string;
