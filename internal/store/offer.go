package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"colonnade/internal/lb"
)

// Flavors and availability zones with their profiles: see lb.Offer.

func offerTable(kind lb.OfferKind) (string, bun.Ident) { return "? AS o", bun.Ident(kind) }

func profileTable(kind lb.OfferKind) (string, bun.Ident) {
	return "? AS o", bun.Ident(kind + "_profile")
}

// Offers lists flavors or availability zones.
func (s *Store) Offers(ctx context.Context, kind lb.OfferKind, q Query) ([]lb.Offer, error) {
	return page(ctx, s, offers[kind], q, func(r offerRow) lb.Offer { return r.Offer })
}

// OfferProfiles lists profiles of flavors or of availability zones.
func (s *Store) OfferProfiles(ctx context.Context, kind lb.OfferKind, q Query) ([]lb.OfferProfile, error) {
	return page(ctx, s, offerProfiles[kind], q, func(r offerProfileRow) lb.OfferProfile { return r.OfferProfile })
}

// OfferWithProfile reads an offer with what it means; one that is not there is an lb.KindNotFound fault.
func (s *Store) OfferWithProfile(ctx context.Context, kind lb.OfferKind, id string) (o lb.Offer, p lb.OfferProfile, err error) {
	err = s.snapshot(ctx, func(ctx context.Context, tx bun.Tx) error {
		if o, err = readOffer(ctx, tx, kind, id, false); err != nil {
			return err
		}
		p, err = readProfile(ctx, tx, kind, o.ProfileID, false)
		return err
	})
	if err != nil {
		return lb.Offer{}, lb.OfferProfile{}, explain(fmt.Sprintf("read %s %s", kind, id), err)
	}
	return o, p, nil
}

func readOffer(ctx context.Context, tx bun.IDB, kind lb.OfferKind, id string, forUpdate bool) (lb.Offer, error) {
	var row offerRow
	err := readByID(ctx, tx.NewSelect().Model(&row).ModelTableExpr(offerTable(kind)), id, forUpdate)
	if errors.Is(err, sql.ErrNoRows) {
		err = lb.Faultf(lb.KindNotFound, "%s %s not found.", kind.Title(), id)
	}
	return row.Offer, err
}

func readProfile(ctx context.Context, tx bun.IDB, kind lb.OfferKind, id string, forUpdate bool) (lb.OfferProfile, error) {
	var row offerProfileRow
	err := readByID(ctx, tx.NewSelect().Model(&row).ModelTableExpr(profileTable(kind)), id, forUpdate)
	if errors.Is(err, sql.ErrNoRows) {
		err = lb.Faultf(lb.KindNotFound, "%s %s not found.", kind.ProfileTitle(), id)
	}
	return row.OfferProfile, err
}

func readByID(ctx context.Context, q *bun.SelectQuery, id string, forUpdate bool) error {
	if q = q.Where("o.id = ?", id); forUpdate {
		q = lock(q)
	}
	return q.Scan(ctx)
}

// CreateOffer writes a new offer. Its profile must be there (lb.KindInvalid), its name be free (lb.KindConflict).
func (s *Store) CreateOffer(ctx context.Context, kind lb.OfferKind, o lb.Offer) error {
	return s.write(ctx, fmt.Sprintf("create %s %s", kind, o.Name), func(ctx context.Context, tx *transaction) error {
		if _, err := readProfile(ctx, tx, kind, o.ProfileID, true); lb.KindOf(err) == lb.KindNotFound {
			return lb.Faultf(lb.KindInvalid, "%s", err.Error())
		} else if err != nil {
			return err
		}
		if err := tx.nameIsFree(ctx, kind, o.Name, ""); err != nil {
			return err
		}
		o.CreatedAt = tx.orNow(o.CreatedAt)
		_, err := tx.NewInsert().Model(&offerRow{Offer: o}).ModelTableExpr(offerTable(kind)).Exec(ctx)
		return err
	})
}

// nameIsFree refuses a name that another offer has. Names of two transactions at once meet in the unique index.
func (tx *transaction) nameIsFree(ctx context.Context, kind lb.OfferKind, name, but string) error {
	taken, err := tx.NewSelect().Model((*offerRow)(nil)).ModelTableExpr(offerTable(kind)).Where("o.name = ? AND o.id <> ?", name, but).Exists(ctx)
	if err == nil && taken {
		err = lb.Faultf(lb.KindConflict, "A %s of %s already exists.", strings.ToLower(kind.Title()), name)
	}
	return err
}

// UpdateOffer lets change modify an offer; its id and profile stay.
func (s *Store) UpdateOffer(ctx context.Context, kind lb.OfferKind, id string, change func(*lb.Offer) error) (o lb.Offer, err error) {
	err = s.write(ctx, fmt.Sprintf("update %s %s", kind, id), func(ctx context.Context, tx *transaction) error {
		if o, err = readOffer(ctx, tx, kind, id, true); err != nil {
			return err
		}
		if err := change(&o); err != nil {
			return err
		}
		if err := tx.nameIsFree(ctx, kind, o.Name, id); err != nil {
			return err
		}
		_, err = tx.NewUpdate().Model(&offerRow{Offer: o}).ModelTableExpr(offerTable(kind)).WherePK().Exec(ctx)
		return err
	})
	return o, err
}

// DeleteOffer removes an offer: a conflict while a load balancer that is not DELETED was made with it.
func (s *Store) DeleteOffer(ctx context.Context, kind lb.OfferKind, id string) error {
	column := map[lb.OfferKind]string{lb.OfferFlavor: "flavor_id", lb.OfferZone: "availability_zone"}[kind]
	return s.write(ctx, fmt.Sprintf("delete %s %s", kind, id), func(ctx context.Context, tx *transaction) error {
		o, err := readOffer(ctx, tx, kind, id, true)
		if err != nil {
			return err
		}
		used, err := tx.NewSelect().Model((*loadBalancerRow)(nil)).
			Where("o."+column+" = ? AND o.provisioning_status <> ?", id, lb.Deleted).Exists(ctx)
		if err != nil {
			return err
		}
		if used {
			return lb.Faultf(lb.KindConflict, "%s %s is in use and cannot be modified.", kind.Title(), id)
		}
		_, err = tx.NewDelete().Model(&offerRow{Offer: o}).ModelTableExpr(offerTable(kind)).WherePK().Exec(ctx)
		return err
	})
}

// CreateOfferProfile writes a new profile.
func (s *Store) CreateOfferProfile(ctx context.Context, kind lb.OfferKind, p lb.OfferProfile) error {
	return s.write(ctx, fmt.Sprintf("create %s profile %s", kind, p.Name), func(ctx context.Context, tx *transaction) error {
		p.CreatedAt = tx.orNow(p.CreatedAt)
		_, err := tx.NewInsert().Model(&offerProfileRow{OfferProfile: p}).ModelTableExpr(profileTable(kind)).Exec(ctx)
		return err
	})
}

// UpdateOfferProfile lets change modify a profile. While an offer names it, provider and data must stay (lb.KindConflict):
// load balancers were made by them.
func (s *Store) UpdateOfferProfile(ctx context.Context, kind lb.OfferKind, id string, change func(*lb.OfferProfile) error) (p lb.OfferProfile, err error) {
	err = s.write(ctx, fmt.Sprintf("update %s profile %s", kind, id), func(ctx context.Context, tx *transaction) error {
		before, err := readProfile(ctx, tx, kind, id, true)
		if err != nil {
			return err
		}
		p = before
		if err := change(&p); err != nil {
			return err
		}
		if p.ProviderName != before.ProviderName || p.Data != before.Data {
			if err := tx.profileUnused(ctx, kind, id); err != nil {
				return err
			}
		}
		_, err = tx.NewUpdate().Model(&offerProfileRow{OfferProfile: p}).ModelTableExpr(profileTable(kind)).WherePK().Exec(ctx)
		return err
	})
	return p, err
}

func (tx *transaction) profileUnused(ctx context.Context, kind lb.OfferKind, id string) error {
	used, err := tx.NewSelect().Model((*offerRow)(nil)).ModelTableExpr(offerTable(kind)).Where("o.profile_id = ?", id).Exists(ctx)
	if err == nil && used {
		err = lb.Faultf(lb.KindConflict, "%s %s is in use and cannot be modified.", kind.ProfileTitle(), id)
	}
	return err
}

// DeleteOfferProfile removes a profile: a conflict while an offer names it.
func (s *Store) DeleteOfferProfile(ctx context.Context, kind lb.OfferKind, id string) error {
	return s.write(ctx, fmt.Sprintf("delete %s profile %s", kind, id), func(ctx context.Context, tx *transaction) error {
		p, err := readProfile(ctx, tx, kind, id, true)
		if err != nil {
			return err
		}
		if err := tx.profileUnused(ctx, kind, id); err != nil {
			return err
		}
		_, err = tx.NewDelete().Model(&offerProfileRow{OfferProfile: p}).ModelTableExpr(profileTable(kind)).WherePK().Exec(ctx)
		return err
	})
}

// offersHold makes sure that what a new load balancer chose is offered at the moment it is written, and stays until then.
func (tx *transaction) offersHold(ctx context.Context, l lb.LoadBalancer) error {
	for kind, id := range map[lb.OfferKind]string{lb.OfferFlavor: l.FlavorID, lb.OfferZone: l.AvailabilityZone} {
		if id == "" {
			continue
		}
		if _, err := readOffer(ctx, tx, kind, id, true); lb.KindOf(err) == lb.KindNotFound {
			return lb.Faultf(lb.KindInvalid, "%s", err.Error())
		} else if err != nil {
			return err
		}
	}
	return nil
}
